// The operations of one type of activations, `Real`.
#pragma once

#include "kernels/kernels.h"
#include "ops/work.h"

namespace sparsr::SPARSR_REAL {

std::unique_ptr<Work> make_conv_work(const Op& op, const Choice& choice, Operands operands, const Kernels& kernels);
std::unique_ptr<Work> make_masked_work(const Op& op, Operands operands, const Kernels& kernels);  // of float only
std::unique_ptr<Work> make_line_work(const Op& op, Operands operands, const Kernels& kernels);
std::unique_ptr<Work> make_resampling_work(const Op& op, Operands operands, const Kernels& kernels);
std::unique_ptr<Work> make_plain_work(const Op& op, Operands operands, const Kernels& kernels);

// Fills the vectors beside `channels` lines, the first at `line`.
void fill_sides(const Buffer& buffer, Real* line, int channels, const Kernels& kernels);
// Applies an activation that no store can apply, in place.
void activate(const Activation& activation, const View& view, int row, const Kernels& kernels);
// Whether a store can apply it.
bool storable(const Activation& activation);

}  // namespace sparsr::SPARSR_REAL
