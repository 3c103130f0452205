// A program at one image size: its stages, the buffers between them, and how far a run has come.
//
// A stage is an operation that runs in steps of some rows; the last one, without an operation, hands rows over.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "cost/costs.h"
#include "graph/fuse.h"
#include "graph/rows.h"
#include "graph/sizes.h"
#include "kernels/kernel_set.h"
#include "ops/operator.h"
#include "ops/work.h"
#include "run/buffer.h"
#include "run/pool.h"

namespace sparsr {

struct Stage {
    const Op* op;
    Choice choice;
    Cost cost;
    double seconds = 0;        // of the last run
    std::unique_ptr<Work> work;
    int height = 0, done = 0;  // output rows
    int offset = 0;            // steps end at rows with this remainder by the step, or at the height
    size_t map = 0;            // index of the output's
};

struct Reader {
    size_t stage, input;
};

// A buffer and who touches it.
struct Map {
    static constexpr size_t none = size_t(-1);
    Buffer buffer;
    std::vector<Reader> readers;
    std::vector<size_t> writers;
    size_t before = none;  // another one, in whose memory it lies once that is read
    size_t pool = none;    // that its rows come from; then those it has are low <= y < high
    int low = 0, high = 0;

    bool whole() const { return buffer.capacity >= buffer.whole(); }
    bool has_memory() const { return !writers.empty() && before == none && pool == none; }  // of its own
};

// Its questions stand together, a few more than elsewhere, because each of them is answered from most of this state.
struct Pipeline {
    const KernelSet* kernels = nullptr;
    Graph graph;
    std::vector<Stage> stages;        // of every operation
    std::vector<Map> maps;            // of root tensors
    std::vector<size_t> map_of;       // of every tensor
    std::vector<Pool> pools;
    Size output{0, 0};
    int handed_over = 0;              // output rows

    // The stage that hands rows over.
    size_t last_stage() const { return stages.size(); }
    const Buffer& buffer_of(int tensor) const { return maps[map_of[size_t(tensor)]].buffer; }
    const Map& output_map() const { return maps[map_of[size_t(graph.output)]]; }
    View view(int tensor) const;
    // What is around an operation.
    Surroundings around(const Op& op) const;

    void restart();
    // Whether a stage's next step has its inputs, and room for its output.
    bool able(size_t stage) const;
    // Notes a step.
    void advance(size_t stage);
    int step_end(const Stage& stage) const;
    // Rows of the input that these rows of the result are computed from.
    RowRange rows_of(const Stage& stage, size_t input, int first, int last) const;
    // The end of the input's rows that the next step reads.
    int reach(const Stage& stage, size_t input) const;
    bool has_rows(int tensor, int end) const;
    bool has_inputs(const Stage& stage) const;
    // The first row that some reader, or a writer that has not come so far, still needs. What `in_place_of` reads in the
    // place it writes does not count.
    int lowest_needed(const Map& map, const Stage* in_place_of = nullptr) const;
    // Whether nobody needs the rows of map `before` any more that the stage's next step writes in another map's.
    bool is_read(size_t before, const Stage& stage) const;
};

}  // namespace sparsr
