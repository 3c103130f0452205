// Sizes of tensors.
#pragma once

#include <vector>

#include "model/program.h"

namespace sparsr {

struct Size {
    int height, width;

    bool operator==(Size other) const { return height == other.height && width == other.width; }
    bool operator!=(Size other) const { return !(*this == other); }
};

// Of every tensor for an image of this size. Throws Error if the program cannot take it.
std::vector<Size> tensor_sizes(const Program& program, Size image);

}  // namespace sparsr
