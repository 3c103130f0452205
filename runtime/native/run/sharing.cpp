// Networks that pool over the whole image keep whole maps, but few at a time. A map may lie where another one of the same
// shape lies if no row is ever written before the other's is read for the last time, in one order of steps that a run can
// take. A run takes any order, so from then on a writer waits for it, as it waits for room.
#include "run/sharing.h"

#include <algorithm>

#include "run/order.h"

namespace sparsr {

namespace {

using Candidates = std::vector<std::vector<size_t>>;  // of every map, those that it may follow

bool may_follow(const Map& map, const Map& before) {
    return !before.writers.empty() && !map.writers.empty() && before.buffer.like(map.buffer) &&
           (before.whole() || (!map.whole() && before.buffer.same_margins(map.buffer)));
}

// Strikes out what a run shows not to be.
void strike_out(Candidates& possible, Pipeline& pipeline) {
    walk(pipeline, [&](size_t stage) {
        auto& list = possible[pipeline.stages[stage].map];
        const auto struck = [&](size_t before) { return !pipeline.is_read(before, pipeline.stages[stage]); };
        list.erase(std::remove_if(list.begin(), list.end(), struck), list.end());
    });
}

// Finds for every map one that it follows, each the predecessor of one other at most. Whole maps come first, the most
// memory; then rings, which may lie in a whole map too.
void match(const Candidates& possible, std::vector<Map>& maps) {
    std::vector<bool> followed(maps.size());
    const auto pairs = [&](bool wholes, bool same_margins) {
        for (size_t index = 0; index < maps.size(); ++index) {
            Map& map = maps[index];
            if (map.before != Map::none || map.whole() != wholes) continue;
            for (size_t before : possible[index]) {
                if (followed[before] || (same_margins && !maps[before].buffer.same_margins(map.buffer))) continue;
                map.before = before;
                followed[before] = true;
                break;
            }
        }
    };
    pairs(true, true);
    pairs(true, false);
    pairs(false, true);
}

// Maps in one memory have one length and the same margins.
void even_out(std::vector<Map>& maps) {
    for (bool again = true; again;) {
        again = false;
        for (Map& map : maps)
            if (map.before != Map::none) again = map.buffer.even_out(maps[map.before].buffer) || again;
    }
}

}  // namespace

void share_memory(Pipeline& pipeline) {
    auto& maps = pipeline.maps;
    Candidates possible(maps.size());
    for (size_t map = 0; map < maps.size(); ++map)
        for (size_t before = 0; before < maps.size(); ++before)
            if (map != before && may_follow(maps[map], maps[before])) possible[map].push_back(before);
    strike_out(possible, pipeline);
    match(possible, maps);
    even_out(maps);
    for (Map& map : maps) map.buffer.lay_out();
}

}  // namespace sparsr
