// One operation at one image size, ready to compute rows.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/kernel_set.h"
#include "run/buffer.h"
#include "ops/packing.h"
#include "run/image.h"
#include "graph/fuse.h"

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
    enum class Kernel { plain, lines, resampling, sparse, dense, winograd, masked };
    Kernel kernel = Kernel::plain;
    int step = 1;  // output rows per run
    Margin margin;
};

const char* kernel_name(Choice::Kernel kernel);
Choice::Kernel find_kernel(const std::string& name);  // throws Error
Choice choose_masked(const Op& op);
// Those for a convolution of `channels` channels of a buffer, whose lanes stay where they are; without any it runs plainly.
std::vector<Choice> conv_choices(const Op& op, int channels, const Buffer& input);

// Input rows first <= y < last, maybe outside of the image, that output rows need.
struct RowRange {
    int first, last;
};
// The two input values between which an output value lies in bilinear resizing, and how far from the first to the second:
// half-pixel centres, the border repeats.
struct Between {
    Between(int i, int input_size, int output_size);
    int low, high;
    float share;
};
RowRange input_rows(const Op& op, size_t input, int input_height, int output_height, int first, int last);

struct Operands {
    std::vector<View> inputs;
    View output;
    View residual;  // buffer null if there is none
    Packing* packing = nullptr;  // of the program's weights
};

// What depends on the type of activations; there is one of each in `works.cpp`, which is compiled once per type.
struct Works {
    std::unique_ptr<Work> (*make)(const Op& op, const Choice& choice, Operands operands, const KernelSet& kernels);
    // Gives a complete row what kernels assume of it: zeros beyond the last column, neighbours at the sides.
    void (*finish_row)(const View& view, int y, const KernelSet& kernels);
    // A row of the caller's image, floats in 0..value_range, and back; `line` is its row y already.
    void (*read_row)(const Image& image, float value_range, const View& to, int y);
    void (*write_row)(const View& view, int y, float value_range, const Image& line, const KernelSet& kernels);
};
const Works& works_of(const KernelSet& kernels);

}  // namespace sparsr
