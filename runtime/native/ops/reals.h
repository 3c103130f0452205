// Operations on one type of activations, `Real`.
#pragma once

#include "kernels/kernels.h"
#include "ops/work.h"

namespace sparsr::SPARSR_REAL {

// The kernels behind what is known of a set without its type.
inline const Kernels& typed(const KernelSet& kernels) { return static_cast<const Kernels&>(kernels); }

// Fills the vectors beside `channels` lines, the first at `line`.
void fill_sides(const Buffer& buffer, Real* line, int channels, const Kernels& kernels);

}  // namespace sparsr::SPARSR_REAL
