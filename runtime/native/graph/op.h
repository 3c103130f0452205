// One operation of a graph: a layer with what has been fused into it, or a part of one.
#pragma once

#include <cstddef>
#include <vector>

#include "model/program.h"

namespace sparsr {

struct Op {
    Kind kind = Kind::source;
    const Layer* layer = nullptr;
    std::vector<int> inputs;  // tensors
    int residual = -1;        // tensor added before the activation; conv and mul only
    int output = 0;           // tensor
    int block = 1;            // of the depth-to-space that stores the result; conv only
    int part = 0;             // which convolution of the block; masked_conv only
    bool gates = false;       // the second factor is taken through the sigmoid; mul only
    Activation activation;

    // Tensors it reads, the residual last.
    size_t operand_count() const { return inputs.size() + (residual >= 0); }
    int operand(size_t input) const { return input < inputs.size() ? inputs[input] : residual; }
};

}  // namespace sparsr
