// The memory of feature maps, kept from one image size to the next.
#pragma once

#include <cstddef>

#include "run/buffer.h"
#include "run/pipeline.h"

namespace sparsr {

// Bytes of the pools, and of the maps that have memory of their own.
size_t map_bytes(const Pipeline& pipeline);

class MapMemory {
public:
    explicit MapMemory(size_t most) : most_(most) {}

    // Bytes that maps may take.
    size_t most() const { return most_; }
    // Gives every map and pool its place. They take at most `most` bytes. Throws std::bad_alloc.
    void allocate(Pipeline& pipeline);
    // Bytes that are kept.
    size_t bytes() const { return arena_.bytes(); }

private:
    size_t most_;
    Mapping arena_;  // only grows: what a size does not need is kept for others that come again
};

}  // namespace sparsr
