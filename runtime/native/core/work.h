// One operation at one image size, ready to compute rows.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "../kernels/kernels.h"
#include "buffer.h"
#include "plan.h"

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
    enum class Kernel { plain, lines, sparse, dense, winograd, masked };
    Kernel kernel = Kernel::plain;
    int step = 1;  // output rows per run
    bool tiles = false;  // a run reads its input as for all rows of the step, even if it computes fewer
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
RowRange input_rows(const Op& op, size_t input, int input_height, int output_height, int first, int last);

struct Operands {
    std::vector<View> inputs;
    View output;
    View residual;  // buffer null if there is none
};

std::unique_ptr<Work> make_conv_work(const Op& op, const Choice& choice, Operands operands, const Kernels& kernels);
std::unique_ptr<Work> make_masked_work(const Op& op, Operands operands, const Kernels& kernels);
std::unique_ptr<Work> make_line_work(const Op& op, Operands operands, const Kernels& kernels);
std::unique_ptr<Work> make_plain_work(const Op& op, Operands operands, const Kernels& kernels);

// Fills the vectors beside `channels` lines, the first at `line`.
void fill_sides(const Buffer& buffer, float* line, int channels, const Kernels& kernels);
// Applies an activation that no store can apply, in place.
void activate(const Activation& activation, const View& view, int row, const Kernels& kernels);
// Whether a store can apply it.
bool storable(const Activation& activation);

}  // namespace sparsr
