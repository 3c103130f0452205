// What a convolution's results at the borders of an image are corrected by; see Border.
#pragma once

#include <vector>

#include "graph/op.h"
#include "kernels/kernels.h"
#include "ops/work.h"

namespace sparsr::SPARSR_REAL {

class Borders {
public:
    // All three must outlive this.
    Borders(const Op& op, const Operands& operands, const Kernels& kernels);

    // Corrects the convolution's rows first <= y < last, before depth-to-space.
    void correct(int first, int last) const;

private:
    // A corner's or column's outputs side by side, for what any of them reads of any row.
    struct Pixels {
        const Border* border;
        std::vector<Weight> places;  // of a row, without values
        std::vector<float> weights;  // [rows of the kernel][places][width_]
    };

    Pixels pack(const Border& border) const;
    void correct_pixels(const Pixels& pixels, int first, int last, int x) const;
    // Of row y what `places` see from column x.
    void see(const std::vector<Weight>& places, int y, int x, float* seen) const;
    void correct_row(const Border& border, int y) const;
    const Real* line(const Weight& weight, int y) const;
    Real* line(int output, int y) const;

    const Op& op_;
    const View &in_, &out_;
    const Kernels& kernels_;
    size_t width_;  // the outputs, and zeros up to a multiple of sum_width
    std::vector<Pixels> pixels_;
    std::vector<const Border*> rows_;
};

}  // namespace sparsr::SPARSR_REAL
