#include "run/order.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace sparsr {

namespace {

// Of one thread for a value of an operation without choice, or one of its products: what a multiply-add takes.
constexpr double value_seconds = 1.25e-11;

// Of one thread, for all rows, as far as the plan knows.
double seconds_of(const Pipeline& pipeline, const Stage& stage) {
    const Op& op = *stage.op;
    const Buffer& out = pipeline.maps[stage.map].buffer;
    const double rows = double(out.height) / op.block;
    if (stage.cost.none > 0) return rows * (stage.cost.seconds + stage.cost.none) / 2;  // half of the pixels important
    if (stage.cost.seconds > 0) return rows * stage.cost.seconds;
    const double values = pipeline.graph.channels[size_t(op.output)] + operator_of(op.kind).products(op);
    return rows * out.width / op.block * values * value_seconds;
}

}  // namespace

std::vector<std::vector<size_t>> affected(const Pipeline& pipeline) {
    std::vector<std::vector<size_t>> result(pipeline.stages.size() + 1);
    const auto add = [&](size_t stage, size_t other) {
        auto& list = result[stage];
        if (std::find(list.begin(), list.end(), other) == list.end()) list.push_back(other);
    };
    const auto add_before = [&](const Map& map, size_t writer) {
        if (map.before == Map::none) return;
        const Map& before = pipeline.maps[map.before];
        for (size_t other : before.writers) add(other, writer);
        for (const Reader& reader : before.readers) add(reader.stage, writer);
        if (&before == &pipeline.output_map()) add(pipeline.last_stage(), writer);
    };
    for (const Map& map : pipeline.maps)
        for (size_t writer : map.writers) {
            add_before(map, writer);
            for (size_t other : map.writers) add(writer, other);
            for (const Reader& reader : map.readers) {
                add(writer, reader.stage);
                add(reader.stage, writer);
                add(reader.stage, reader.stage);
            }
        }
    for (size_t writer : pipeline.output_map().writers) {
        add(writer, pipeline.last_stage());
        add(pipeline.last_stage(), writer);
    }
    add(pipeline.last_stage(), pipeline.last_stage());
    return result;
}

std::vector<int> homes(const Pipeline& pipeline, int workers) {
    std::vector<double> work;
    for (const Stage& stage : pipeline.stages) work.push_back(seconds_of(pipeline, stage));
    work.push_back(double(pipeline.output.height) * pipeline.output.width * value_seconds);
    const double all = std::accumulate(work.begin(), work.end(), 0.0);
    std::vector<int> result;
    double before = 0;
    for (double own : work) {
        result.push_back(int((before + own / 2) / all * workers));
        before += own;
    }
    return result;
}

void walk(Pipeline& pipeline, const std::function<void(size_t)>& step) {
    const auto others = affected(pipeline);
    pipeline.restart();
    std::set<size_t> able_ones;  // and maybe others
    for (size_t stage = 0; stage <= pipeline.last_stage(); ++stage) able_ones.insert(stage);
    while (pipeline.handed_over < pipeline.output.height && !able_ones.empty()) {
        const size_t stage = *able_ones.rbegin();
        if (!pipeline.able(stage)) {
            able_ones.erase(stage);
            continue;
        }
        if (stage < pipeline.last_stage()) step(stage);
        take_rows(pipeline, stage);
        pipeline.advance(stage);
        give_back_rows(pipeline, stage);
        able_ones.insert(others[stage].begin(), others[stage].end());
    }
}

}  // namespace sparsr
