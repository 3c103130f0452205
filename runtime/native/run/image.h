// Images in the caller's memory.
#pragma once

#include <cstddef>

namespace sparsr {

// Strides in elements.
struct Image {
    enum class Type { bytes, floats };
    Type type;
    void* data;
    ptrdiff_t row, column, channel;
};

}  // namespace sparsr
