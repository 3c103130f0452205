// Buffers hold as few rows as a run needs, and a run may then take any order.
#include <doctest/doctest.h>

#include <random>
#include <set>

#include "programs.h"
#include "run/memory.h"
#include "run/order.h"
#include "run/rehearsal.h"
#include "run/setup.h"
#include "run/sharing.h"

using namespace sparsr;
using namespace sparsr::testing;

namespace {

Pipeline prepared(const Program& program, Size size, int workers = 1) {
    Costs costs(*best_kernels(), false);
    Pipeline pipeline = make_pipeline(program, *best_kernels(), {}, costs, size);
    rehearse(pipeline, workers);
    if (lengthen_steps(pipeline)) rehearse(pipeline, workers);
    share_memory(pipeline);
    pool_rows(pipeline, workers);
    pipeline.restart();
    return pipeline;
}

Chain skipping() { return Chain(3).conv({16}).conv({16}, true).conv({16}).add(2).conv({12}, true).add(0).conv({3, 5}); }

}  // namespace

TEST_CASE("any order finishes") {
    const Chain chain = skipping();
    for (int workers : {1, 3})
        for (unsigned seed = 0; seed < 50; ++seed) {
            Pipeline pipeline = prepared(chain.program(), {41, 37}, workers);
            std::mt19937 random(seed);
            while (pipeline.handed_over < pipeline.output.height) {
                std::vector<size_t> able;
                for (size_t stage = 0; stage <= pipeline.last_stage(); ++stage)
                    if (pipeline.able(stage)) able.push_back(stage);
                REQUIRE(!able.empty());
                pipeline.advance(able[random() % able.size()]);
            }
        }
}

TEST_CASE("no row of a pool is two maps' at once, and there are enough") {
    const Chain chain = skipping();
    for (int workers : {1, 3})
        for (unsigned seed = 0; seed < 20; ++seed) {
            Pipeline pipeline = prepared(chain.program(), {41, 37}, workers);
            MapMemory memory(size_t(8) << 20);
            memory.allocate(pipeline);
            const size_t bytes = map_bytes(pipeline);
            pipeline.restart();
            std::mt19937 random(seed);
            while (pipeline.handed_over < pipeline.output.height) {
                std::vector<size_t> able;
                for (size_t stage = 0; stage <= pipeline.last_stage(); ++stage)
                    if (pipeline.able(stage)) able.push_back(stage);
                const size_t stage = workers == 1 ? able.back() : able[random() % able.size()];
                take_rows(pipeline, stage);
                if (stage < pipeline.last_stage()) {  // what it clears and writes has places
                    const Stage& now = pipeline.stages[stage];
                    const Map& map = pipeline.maps[now.map];
                    if (map.pool != Map::none) CHECK(map.low <= (now.done ? now.done : -map.buffer.top));
                }
                std::set<char*> held;
                size_t count = 0;
                for (Map& map : pipeline.maps)
                    for (int y = map.low; map.pool != Map::none && y < map.high; ++y, ++count) held.insert(map.buffer.place(y));
                CHECK(held.size() == count);
                CHECK(held.count(nullptr) == 0);
                pipeline.advance(stage);
                give_back_rows(pipeline, stage);
                // What is still to be read is still there.
                for (const Map& map : pipeline.maps)
                    if (map.pool != Map::none) CHECK(map.low <= std::min(pipeline.lowest_needed(map), map.high));
            }
            CHECK(map_bytes(pipeline) == bytes);  // no pool has grown
        }
}

TEST_CASE("one worker needs less than all rings can hold") {
    const Chain chain = skipping();
    CHECK(map_bytes(prepared(chain.program(), {41, 37})) < map_bytes(prepared(chain.program(), {41, 37}, 3)));
}

TEST_CASE("only what a step affects becomes able") {
    const Chain chain = skipping();
    Pipeline pipeline = prepared(chain.program(), {29, 16});
    const auto affected = sparsr::affected(pipeline);
    std::mt19937 random(1);
    std::vector<bool> before(pipeline.last_stage() + 1);
    for (size_t stage = 0; stage < before.size(); ++stage) before[stage] = pipeline.able(stage);
    while (pipeline.handed_over < pipeline.output.height) {
        size_t chosen;
        do chosen = random() % before.size();
        while (!before[chosen]);
        pipeline.advance(chosen);
        for (size_t stage = 0; stage < before.size(); ++stage) {
            const bool now = pipeline.able(stage);
            const auto& list = affected[chosen];
            if (now != before[stage]) CHECK(std::find(list.begin(), list.end(), stage) != list.end());
            before[stage] = now;
        }
    }
}

TEST_CASE("memory does not grow with the height") {
    const Chain chain = skipping();
    const size_t small = map_bytes(prepared(chain.program(), {200, 64}));
    CHECK(map_bytes(prepared(chain.program(), {2000, 64})) == small);
    CHECK(small < 16 * 200 * 64 * sizeof(float));  // of one whole map
}

TEST_CASE("memory is kept from size to size, and bounded") {
    const Chain chain = skipping();
    constexpr size_t most = size_t(8) << 20;
    MapMemory memory(most);
    for (int round = 0; round < 3; ++round)
        for (int side : {16, 120, 33}) {
            Pipeline pipeline = prepared(chain.program(), {side, side});
            REQUIRE(map_bytes(pipeline) <= most);
            memory.allocate(pipeline);
            for (const Map& map : pipeline.maps) CHECK(map.writers.empty() == map.buffer.rows.empty());
            CHECK(memory.bytes() <= most);
        }
}
