// What a convolution's results at the borders of an image are corrected by; see Border.
#pragma once

#include <vector>

#include "../kernels/kernels.h"
#include "work.h"

namespace sparsr::SPARSR_REAL {

class Borders {
public:
    // All three must outlive this.
    Borders(const Op& op, const Operands& operands, const Kernels& kernels);

    // Corrects the convolution's rows first <= y < last, before depth-to-space.
    void correct(int first, int last) const;

private:
    // A corner's or column's outputs side by side, for all places that any of them reads.
    struct Pixel {
        const Border* border;
        std::vector<Weight> places;  // without values
        std::vector<float> weights;  // [places][width_]
    };

    Pixel pack(const Border& border) const;
    void correct_pixel(const Pixel& pixel, int y, int x) const;
    void correct_row(const Border& border, int y) const;
    const Real* line(const Weight& weight, int y) const;
    Real* line(int output, int y) const;

    const Op& op_;
    const View &in_, &out_;
    const Kernels& kernels_;
    size_t width_;  // the outputs, and zeros up to a multiple of sum_width
    std::vector<Pixel> pixels_;
    std::vector<const Border*> rows_;
};

}  // namespace sparsr::SPARSR_REAL
