// Plans: a program as the operations that really run. Residual additions and depth-to-space become part of the
// convolution before them; concatenations and slices become places inside a shared buffer.
#pragma once

#include <vector>

#include "model/program.h"

namespace sparsr {

struct Op {
    // The last four are what a masked block consists of.
    enum class Kind { source, copy, layer, mask, to_pixels, masked_conv, masked_fuse };
    Kind kind = Kind::layer;
    const Layer* layer = nullptr;
    std::vector<int> inputs;  // tensors
    int residual = -1;        // tensor added before the activation; conv and mul only
    int output = 0;           // tensor
    int block = 1;            // of the depth-to-space that stores the result; conv only
    int part = 0;             // which convolution of the block; masked_conv only
    bool gates = false;       // the second factor is taken through the sigmoid; mul only
    Activation activation;
};

// Where a tensor's channels lie: in the buffer of tensor `root`, from channel `first` on.
struct Place {
    int root;
    int first;
};

// How a tensor lies in its buffer: every channel by itself, or the channels of a pixel side by side; masks as bits.
enum class Layout { lines, pixels, mask };

struct Plan {
    std::vector<Op> ops;                      // in execution order; op 0 is the source
    std::vector<int> channels;                // of every tensor; those of the program come first
    std::vector<Place> places;                // of every tensor
    std::vector<Layout> layouts;              // of every tensor
    std::vector<std::vector<int>> producers;  // ops that write a part of the tensor
    int output = 0;                           // tensor
};

// `program` must outlive the plan. `idle`: for each layer whether it returns its first input as it is, so that it needs
// no operation.
Plan make_plan(const Program& program, const std::vector<bool>& idle);

}  // namespace sparsr
