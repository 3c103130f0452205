// What a convolution would cost that no program has yet.
#pragma once

#include <string>

#include "costs.h"

namespace sparsr {

struct ConvShape {
    int inputs, outputs, side;  // `side` x `side` taps, the image padded to keep its size
    int n, m;                   // n of every m input channels have weights
    int width;                  // of the image
};

// For one row of the result, on `kernel` or, if null, the cheapest. Throws Error if the shape is impossible or the kernel
// cannot run it.
Cost conv_cost(const ConvShape& shape, const char* kernel, const KernelSet& kernels, bool measure);

}  // namespace sparsr
