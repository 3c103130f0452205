#include "run/pipeline.h"

#include <algorithm>

namespace sparsr {

View Pipeline::view(int tensor) const {
    return {&buffer_of(tensor), graph.places[size_t(tensor)].first, graph.channels[size_t(tensor)]};
}

Surroundings Pipeline::around(const Op& op) const {
    Surroundings result{*kernels, {}, &buffer_of(op.output), op.residual < 0 ? nullptr : &buffer_of(op.residual), 0};
    for (int input : op.inputs) result.inputs.push_back(&buffer_of(input));
    if (!op.inputs.empty()) result.channels = graph.channels[size_t(op.inputs[0])];
    return result;
}

// ---- how far a run has come

void Pipeline::restart() {
    for (Stage& stage : stages) stage.done = 0;
    for (Map& map : maps) map.low = map.high = -map.buffer.top;
    for (Pool& pool : pools) pool.restart();
    handed_over = 0;
}

bool Pipeline::able(size_t number) const {
    if (number == last_stage()) return handed_over < output.height && has_rows(graph.output, handed_over + 1);
    const Stage& stage = stages[number];
    if (stage.done >= stage.height || !has_inputs(stage)) return false;
    const Map& map = maps[stage.map];
    if (map.before != Map::none && !is_read(map.before, stage)) return false;
    const int last = step_end(stage), end = last < stage.height ? last : last + map.buffer.bottom;
    return end - std::min(lowest_needed(map), stage.done) <= map.buffer.capacity;
}

void Pipeline::advance(size_t number) {
    if (number == last_stage())
        ++handed_over;
    else
        stages[number].done = step_end(stages[number]);
}

int Pipeline::step_end(const Stage& stage) const {
    const int step = stage.choice.step;
    return std::min(stage.height, stage.done + step - (stage.done + step - stage.offset) % step);
}

RowRange Pipeline::rows_of(const Stage& stage, size_t input, int first, int last) const {
    return input_rows(*stage.op, input, buffer_of(stage.op->operand(input)).height, stage.height, first, last);
}

int Pipeline::reach(const Stage& stage, size_t input) const {
    return rows_of(stage, input, stage.done, step_end(stage)).last;
}

bool Pipeline::has_rows(int tensor, int end) const {
    for (int producer : graph.producers[size_t(tensor)]) {
        const Stage& stage = stages[size_t(producer)];
        if (stage.done < std::clamp(end, 1, stage.height)) return false;  // above its first row it clears what is read
    }
    return true;
}

bool Pipeline::has_inputs(const Stage& stage) const {
    for (size_t i = 0; i < stage.op->operand_count(); ++i)
        if (!has_rows(stage.op->operand(i), reach(stage, i))) return false;
    return true;
}

int Pipeline::lowest_needed(const Map& map, const Stage* in_place_of) const {
    int low = map.buffer.height;
    for (size_t writer : map.writers)
        if (const Stage& stage = stages[writer]; stage.done < stage.height)
            low = std::min(low, stage.done ? stage.done : -map.buffer.top);  // at first it clears what is above the image
    for (const Reader& reader : map.readers) {
        const Stage& stage = stages[reader.stage];
        if (stage.done >= stage.height) continue;
        // A step that reads each place once, just before it writes there, needs no row of what it replaces.
        if (&stage == in_place_of &&
            operator_of(stage.op->kind).in_place(*stage.op, stage.choice, reader.input, around(*stage.op)))
            continue;
        low = std::min(low, std::max(rows_of(stage, reader.input, stage.done, step_end(stage)).first, -map.buffer.top));
    }
    return &map == &output_map() ? std::min(low, handed_over) : low;
}

bool Pipeline::is_read(size_t before, const Stage& stage) const {
    const Map& map = maps[before];
    return lowest_needed(map, &stage) >= (map.whole() ? step_end(stage) : map.buffer.height);
}

}  // namespace sparsr
