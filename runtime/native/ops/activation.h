// Activation functions, by themselves and after other operations.
#pragma once

#include "kernels/kernels.h"
#include "model/entry.h"
#include "model/program.h"
#include "run/buffer.h"

namespace sparsr {

// {"function": ...}, of a layer with so many channels. Throws Error.
Activation read_activation(const Entry& entry, int channels);
// Whether a convolution's store can apply it.
inline bool storable(const Activation& activation) {
    return activation.function == Function::none || activation.function == Function::leaky;
}

namespace SPARSR_REAL {

// Of one value of a channel.
float activated(const Activation& activation, size_t channel, float x);
// Of n values of a channel, in place.
void activate_line(const Activation& activation, size_t channel, Real* line, int n, const Kernels& kernels);
// Of a row.
void activate_row(const Activation& activation, const View& view, int y, const Kernels& kernels);

}  // namespace SPARSR_REAL

}  // namespace sparsr
