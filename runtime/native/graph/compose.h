// Two convolutions with nothing but a depth-to-space between them, as one.
#pragma once

#include "model/program.h"

namespace sparsr {

// Joins a 3x3 convolution to many channels, depth-to-space and a 3x3 convolution to few, the end of many networks, where
// that takes fewer products: the channels in between are never computed. Tensors keep their numbers.
void compose(Program& program);

}  // namespace sparsr
