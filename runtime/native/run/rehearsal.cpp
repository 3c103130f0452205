#include "run/rehearsal.h"

#include <algorithm>

namespace sparsr {

namespace {

// Every row is computed only when asked for. A run may then take any order that the capacities found here allow.
class Rehearsal {
public:
    explicit Rehearsal(Pipeline& pipeline) : pipeline_(pipeline), held_(pipeline.maps.size(), 1) {}

    void run() {
        pipeline_.restart();
        for (int& row = pipeline_.handed_over; row < pipeline_.output.height; ++row) demand(pipeline_.graph.output, row + 1);
    }

    // Rows that a map held at once.
    int held(size_t map) const { return held_[map]; }

private:
    void demand(int tensor, int end) {
        for (int producer : pipeline_.graph.producers[size_t(tensor)]) {
            Stage& stage = pipeline_.stages[size_t(producer)];
            while (stage.done < std::clamp(end, 1, stage.height)) step(stage);
        }
    }

    void step(Stage& stage) {
        const int first = stage.done;
        for (size_t i = 0; i < stage.op->operand_count(); ++i)
            demand(stage.op->operand(i), pipeline_.reach(stage, i));
        const Map& map = pipeline_.maps[stage.map];
        const int low = std::min(pipeline_.lowest_needed(map), first);
        stage.done = pipeline_.step_end(stage);
        int high = 0;
        for (size_t writer : map.writers) {
            const Stage& other = pipeline_.stages[writer];
            high = std::max(high, other.done < other.height ? other.done : other.height + map.buffer.bottom);
        }
        int& held = held_[stage.map];
        held = std::max(held, high - low);
        for (const Reader& reader : map.readers) step_early(pipeline_.stages[reader.stage]);
    }

    // The steps of an early operation whose inputs are there already.
    void step_early(Stage& stage) {
        if (!stage.op->layer || !stage.op->layer->early) return;
        while (stage.done < stage.height && pipeline_.has_inputs(stage)) step(stage);
    }

    Pipeline& pipeline_;
    std::vector<int> held_;
};

// Rows that let the writers go on while the readers still read: a step of the larger kind.
int slack(const Pipeline& pipeline, const Map& map) {
    int rows = 1;
    for (size_t writer : map.writers) rows = std::max(rows, pipeline.stages[writer].choice.step);
    for (const Reader& reader : map.readers) {
        const Stage& stage = pipeline.stages[reader.stage];
        const int step = stage.choice.step;
        if (2 * step > stage.height) continue;
        const int before = pipeline.rows_of(stage, reader.input, 0, step).first;
        rows = std::max(rows, pipeline.rows_of(stage, reader.input, step, 2 * step).first - before);
    }
    return rows;
}

}  // namespace

void rehearse(Pipeline& pipeline, int workers) {
    Rehearsal rehearsal(pipeline);
    rehearsal.run();
    for (size_t index = 0; index < pipeline.maps.size(); ++index) {
        Map& map = pipeline.maps[index];
        Buffer& buffer = map.buffer;
        const int held = rehearsal.held(index) + (workers > 1 ? slack(pipeline, map) : 0);
        buffer.capacity = held < buffer.height ? std::min(held, buffer.whole()) : buffer.whole();
        if (buffer.vectors == 0) buffer.vectors = (buffer.width + buffer.lanes - 1) / buffer.lanes;
    }
}

}  // namespace sparsr
