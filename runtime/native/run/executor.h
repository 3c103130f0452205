// Runs a program on images, row by row.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "cost/costs.h"
#include "kernels/kernel_set.h"
#include "model/program.h"
#include "run/image.h"
#include "run/memory.h"
#include "run/pipeline.h"
#include "run/planning.h"
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

// The one door to the engine, so it has more members than its parts: what each host and tool asks of it, and what it keeps
// from one run to the next. How a run is laid out, where its memory lies and in which order it goes are files of their own.
class Executor {
public:
    // The program is packed for `kernels` when an image's size is known.
    Executor(std::shared_ptr<const Program> program, const KernelSet& kernels, size_t max_bytes);

    // Another executor of the same program and plan, on the calling thread.
    Executor share() const;

    // Who computes from now on; the calling thread alone until then. The result does not depend on it, bit for bit.
    void set_workers(std::unique_ptr<Workers> workers);

    const Program& program() const { return *program_; }
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
    // Bytes that images of a size need, feature maps and weights as kernels read them; nothing is allocated.
    size_t bytes_for(Size size) const;
    // Chooses the kernels for images of any size as for this one from now on: then the windows of a picture get its values.
    void follow(Size size);
    // How kernels are chosen from now on; until then as the environment says.
    void set_planning(Planning planning);
    // Whether runs time every operation.
    void set_profiling(bool profiling) { profiling_ = profiling; }

    // Of the size last prepared: the images', bytes of feature maps and of what is kept of those before, and the operations.
    Size size() const { return size_; }
    size_t buffer_bytes() const { return memory_.bytes(); }
    std::vector<Report> report() const;

private:
    // What images of a size need, without memory.
    Pipeline lay_out(Size size, Costs& costs) const;
    void make_works();
    void perform(Stage& stage, const Image& input, float* scratch);

    std::shared_ptr<const Program> program_;
    const KernelSet& kernels_;
    std::shared_ptr<Packing> packing_ = std::make_shared<Packing>();
    Planning planning_;
    Costs costs_;
    bool profiling_ = false;
    std::unique_ptr<Workers> workers_;

    Size size_{0, 0};  // last prepared; what follows belongs to it
    Pipeline pipeline_;
    std::vector<std::vector<size_t>> affected_;
    std::vector<int> homes_;
    MapMemory memory_;
    Mapping scratch_;            // of every worker
    size_t scratch_floats_ = 0;  // of one
};

}  // namespace sparsr
