// The memory of feature maps, kept from one image size to the next.
#pragma once

#include <cstddef>
#include <vector>

#include "run/buffer.h"
#include "run/pipeline.h"

namespace sparsr {

// Bytes of the maps that have memory of their own.
size_t map_bytes(const std::vector<Map>& maps);

class MapMemory {
public:
    explicit MapMemory(size_t most) : most_(most) {}

    // Bytes that maps may take.
    size_t most() const { return most_; }
    // Gives every map its place. They take at most `most` bytes. Throws std::bad_alloc.
    void allocate(std::vector<Map>& maps);
    // Keeps the rings of maps that are not needed any more.
    void take_back(std::vector<Map>& maps);
    // Bytes that these maps have and that are kept.
    size_t bytes(const std::vector<Map>& maps) const;

private:
    void place(const std::vector<Buffer*>& buffers, size_t other_bytes);
    void allocate_rings(std::vector<Buffer*> buffers);

    size_t most_;
    Mapping arena_;             // of the maps that are not mirrored
    Spares spares_;             // rings of the sizes before
    size_t most_in_rings_ = 0;  // bytes that any size so far has needed
};

}  // namespace sparsr
