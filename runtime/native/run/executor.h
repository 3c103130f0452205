// Runs a program on images, row by row.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/kernel_set.h"
#include "run/buffer.h"
#include "cost/costs.h"
#include "run/image.h"
#include "graph/fuse.h"
#include "graph/sizes.h"
#include "ops/operator.h"
#include "run/planning.h"
#include "model/program.h"
#include "ops/work.h"
#include "run/workers.h"

namespace sparsr {

// An operation as it runs on the size last prepared.
struct Report {
    const Op* op;
    Choice choice;
    Cost cost;                 // of convolutions, those of masked blocks too
    int inputs, outputs;       // channels, the inputs' of the first one
    Size size;                 // of the result, before depth-to-space
    int vectors;               // of a line of that
    int ring_rows;
    size_t ring_bytes;         // of the buffer that holds the result, maybe together with others'
    double seconds;            // of the last run, all threads' together; 0 if it was not profiled
    int64_t important;         // pixels of the last run; of masks
};

class Executor {
public:
    // The program is packed for `kernels` when an image's size is known.
    Executor(std::shared_ptr<const Program> program, const KernelSet& kernels, size_t max_bytes);

    // Another executor of the same program and plan, on the calling thread.
    Executor share() const;

    // Who computes from now on; the calling thread alone until then. The result does not depend on it, bit for bit.
    void set_workers(std::unique_ptr<Workers> workers);

    const Program& program() const { return program_; }
    const KernelSet& kernels() const { return kernels_; }
    int threads() const { return workers_->count(); }
    // Size of the result. Throws Error if the program cannot take images of that size.
    Size output_size(Size input) const;

    // Called with a finished row's number and its first element, by any of the workers, one at a time; false ends the run.
    using RowReady = std::function<bool(int row, const void* first)>;
    // Computes `output` from `input`; without output.data every row is handed over in memory of our own.
    // Returns false if `ready` ended it. Throws Error or std::bad_alloc.
    bool run(const Image& input, Size size, const Image& output, const RowReady& ready);

    // Gets ready for images of a size, as a run does if it has to.
    void prepare(Size size);
    // Bytes of feature maps that images of a size need; nothing is allocated.
    size_t bytes_for(Size size) const;
    // Chooses the kernels for images of any size as for this one from now on: then the windows of a picture get its values.
    void follow(Size size);
    // How kernels are chosen from now on; until then as the environment says.
    void set_planning(Planning planning);
    // Whether runs time every operation.
    void set_profiling(bool profiling) { profiling_ = profiling; }

    // Of the size last prepared: the images', bytes of feature maps and of what is kept of those before, and the operations.
    Size size() const { return size_; }
    size_t buffer_bytes() const;
    std::vector<Report> report() const;

private:
    struct Task {
        const Op* op;
        Choice choice;
        Cost cost;
        double seconds = 0;        // of the last run
        std::unique_ptr<Work> work;
        int height = 0, done = 0;  // output rows
        int phase = 0;             // steps end at rows with this remainder by the step, or at the height
        size_t buffer = 0;         // index of the output's
    };
    static constexpr size_t none = size_t(-1);
    struct Reader {
        size_t task, input;
    };
    struct Map {  // a buffer and who touches it
        Buffer buffer;
        std::vector<Reader> readers;
        std::vector<size_t> writers;
        int high = 0;  // rows it must hold at once
        size_t before = none;  // another one, in whose memory it lies once that is read
    };

    // Another one that knows what memory images of a size need, and has none.
    Executor sketch(Size size) const;
    void lay_out(Size size);
    std::vector<bool> idle_layers(const std::vector<Size>& sizes) const;
    void make_maps(const std::vector<Size>& sizes);
    void make_tasks(const std::vector<Size>& sizes);
    void set_vectors(const Op& op, const std::vector<Size>& sizes);
    bool halves() const;
    Surroundings around(const Op& op) const;
    Choice choose(Task& task);
    void rehearse();
    void prepare_work();
    void restart();

    int operand(const Op& op, size_t input) const;
    size_t operand_count(const Op& op) const;
    View view(int tensor) const;
    const Buffer& buffer_of(int tensor) const;
    RowRange rows_of(const Task& task, size_t input, int first, int last) const;

    void set_phases();
    void demand(int tensor, int end);
    void rehearse_step(Task& task);
    void rehearse_early(Task& task);
    int slack(const Map& map) const;
    int lowest_needed(const Map& map, const Task* in_place_of = nullptr) const;
    void share_memory();
    void rehearse_run(std::vector<std::vector<size_t>>& possible);
    bool is_read(size_t before, const Task& task) const;
    bool in_place(const Task& task, size_t input) const;
    void even_out();
    void allocate_maps();
    void place(const std::vector<Buffer*>& buffers, size_t other_bytes);
    void allocate_rings(std::vector<Buffer*> buffers);
    static size_t bytes_of(const std::vector<Buffer*>& buffers);
    size_t map_bytes() const;
    static bool has_memory(const Map& map);
    static bool whole(const Map& map) { return map.buffer.capacity >= map.buffer.whole(); }
    void find_affected();
    void find_homes();

    int step_end(const Task& task) const;
    int reach(const Task& task, size_t input) const;
    bool able(size_t stage) const;
    bool has_rows(int tensor, int end) const;
    void perform(Task& task, float* scratch);

    std::shared_ptr<const Program> shared_;
    const Program& program_;
    const KernelSet& kernels_;
    const Reals& reals_;
    std::shared_ptr<Packing> packing_ = std::make_shared<Packing>();
    size_t max_bytes_;
    Graph graph_;
    Planning planning_;
    Costs costs_;
    bool profiling_ = false;
    Size size_{0, 0};
    Size output_size_{0, 0};
    std::vector<Map> maps_;          // of root tensors
    Mapping arena_;                  // of the maps that are not mirrored
    Spares spares_;                  // rings of the sizes before
    size_t most_in_rings_ = 0;       // bytes that any size so far has needed
    std::vector<size_t> map_of_;     // map of every tensor
    std::vector<Task> tasks_;        // of every op
    // Of every task, and last of the handing over of rows, those whose readiness its progress may change.
    std::vector<std::vector<size_t>> affected_;
    std::vector<int> home_;          // of each of these, the worker that prefers it
    int sink_ = 0;                   // output rows handed over
    std::unique_ptr<Workers> workers_;
    Mapping scratch_;                // of every worker
    size_t scratch_floats_ = 0;      // of one
    Image input_{};
};

}  // namespace sparsr
