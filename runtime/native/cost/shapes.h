// What a convolution would cost that no program has yet.
#pragma once

#include <string>

#include "cost/costs.h"

namespace sparsr {

struct ConvShape {
    int inputs, outputs, side;  // `side` x `side` taps
    int stride;                 // 1 or 2
    int n, m;                   // n of every m input channels have weights
    int shared;                 // so many consecutive outputs have them at the same places
    int width;                  // of the result
};

// A convolution of that shape with weights at random places, and a stride's padding.
Layer make_layer(const ConvShape& shape);
// The kernels for such a convolution, its input `channels` lines of so many vectors that nothing else reads.
std::vector<Choice> choices_alone(const Op& op, int channels, int vectors, const KernelSet& kernels);

// For one row of the result, on `kernel` or, if null, the cheapest. Throws Error if the shape is impossible or the kernel
// cannot run it.
Cost conv_cost(const ConvShape& shape, const char* kernel, const KernelSet& kernels, bool measure);

}  // namespace sparsr
