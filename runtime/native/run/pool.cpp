#include "run/pool.h"

#include <algorithm>

#include "run/order.h"
#include "run/pipeline.h"

namespace sparsr {

namespace {

void give_back(Pipeline& pipeline, Map& map) {
    if (map.pool == Map::none) return;
    const int low = std::min(pipeline.lowest_needed(map), map.high);
    for (; map.low < low; ++map.low) pipeline.pools[map.pool].give_back(map.buffer.place(map.low));
}

size_t pool_of(std::vector<Pool>& pools, size_t row_bytes, int home) {
    const auto same = [=](const Pool& pool) { return pool.row_bytes() == row_bytes && pool.home() == home; };
    const auto found = std::find_if(pools.begin(), pools.end(), same);
    if (found != pools.end()) return size_t(found - pools.begin());
    pools.emplace_back(row_bytes, home);
    return pools.size() - 1;
}

}  // namespace

void Pool::lie_at(char* place) {
    memory_ = place;
    restart();
}

void Pool::restart() {
    free_.clear();
    for (size_t row = memory_ ? rows_ : 0; row-- > 0;) free_.push_back(memory_ + row * row_bytes_);
}

char* Pool::take() {
    if (free_.empty()) {
        ++rows_;
        return nullptr;
    }
    char* row = free_.back();
    free_.pop_back();
    return row;
}

void pool_rows(Pipeline& pipeline, int workers) {
    const std::vector<int> home = homes(pipeline, workers);
    std::vector<bool> followed(pipeline.maps.size());
    for (const Map& map : pipeline.maps)
        if (map.before != Map::none) followed[map.before] = true;
    std::vector<size_t> most;  // rows of every pool if every ring is full
    for (size_t index = 0; index < pipeline.maps.size(); ++index) {
        Map& map = pipeline.maps[index];
        // Beside pixels there are zeros, which lines would overwrite.
        if (map.writers.empty() || map.whole() || map.buffer.pixel || map.before != Map::none || followed[index]) continue;
        map.pool = pool_of(pipeline.pools, map.buffer.row_bytes(), home[map.writers[0]]);
        map.buffer.rows.assign(size_t(map.buffer.whole()), nullptr);
        most.resize(pipeline.pools.size());
        most[map.pool] += size_t(map.buffer.capacity);
    }
    if (workers > 1)
        for (size_t pool = 0; pool < most.size(); ++pool) pipeline.pools[pool].reserve(most[pool]);
    else
        walk(pipeline, [](size_t) {});
}

void take_rows(Pipeline& pipeline, size_t stage) {
    if (stage == pipeline.last_stage()) return;
    Map& map = pipeline.maps[pipeline.stages[stage].map];
    if (map.pool == Map::none) return;
    const int last = pipeline.step_end(pipeline.stages[stage]);
    const int end = last < map.buffer.height ? last : last + map.buffer.bottom;
    for (; map.high < end; ++map.high) map.buffer.place(map.high) = pipeline.pools[map.pool].take();
}

void give_back_rows(Pipeline& pipeline, size_t stage) {
    if (stage == pipeline.last_stage()) return give_back(pipeline, pipeline.maps[pipeline.map_of[size_t(pipeline.graph.output)]]);
    const Op& op = *pipeline.stages[stage].op;
    for (size_t i = 0; i < op.operand_count(); ++i)
        give_back(pipeline, pipeline.maps[pipeline.map_of[size_t(op.operand(i))]]);
    give_back(pipeline, pipeline.maps[pipeline.stages[stage].map]);
}

}  // namespace sparsr
