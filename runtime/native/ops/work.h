// One operation at one image size, ready to compute rows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/kernel_set.h"
#include "ops/packing.h"
#include "run/buffer.h"
#include "run/image.h"

namespace sparsr {

class Work {
public:
    virtual ~Work() = default;
    // Floats of working memory that `run` needs, aligned as vectors.
    virtual size_t scratch() const { return 0; }
    // Computes the output's rows first <= y < last.
    virtual void run(int first, int last, float* scratch) = 0;
    // Important pixels of the last image; for masks only.
    virtual int64_t important_pixels() const { return 0; }
};

// Rows of zeros and vectors at the sides that a kernel reads beyond its input's image.
struct Margin {
    int top = 0, bottom = 0, left = 0, right = 0;
};

// Which kernel an operation runs on and what that asks of its surroundings.
struct Choice {
    enum class Kernel { plain, lines, resampling, sparse, shared, dense, winograd, masked };
    Kernel kernel = Kernel::plain;
    int step = 1;  // output rows per run
    Margin margin;
    size_t weight_bytes = 0;  // of the weights as it reads them, beside the program's own
};

const char* kernel_name(Choice::Kernel kernel);
Choice::Kernel find_kernel(const std::string& name);  // throws Error

struct Operands {
    std::vector<View> inputs;
    View output;
    View residual;  // buffer null if there is none
    Packing* packing = nullptr;  // of the program's weights
};

// What depends on the type of activations beside operators' works; `reals.cpp` is compiled once per type.
struct Reals {
    // Gives a complete row what kernels assume of it: zeros beyond the last column, neighbours at the sides.
    void (*finish_row)(const View& view, int y, const KernelSet& kernels);
    // A row of the caller's image, floats in 0..value_range, and back; `line` is its row y already.
    void (*read_row)(const Image& image, float value_range, const View& to, int y);
    void (*write_row)(const View& view, int y, float value_range, const Image& line, const KernelSet& kernels);
};
const Reals& reals_of(const KernelSet& kernels);

}  // namespace sparsr
