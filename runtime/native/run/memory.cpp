#include "run/memory.h"

#include <cstring>

namespace sparsr {

size_t map_bytes(const Pipeline& pipeline) {
    size_t bytes = 0;
    for (const Pool& pool : pipeline.pools) bytes += pool.bytes();
    for (const Map& map : pipeline.maps)
        if (map.has_memory()) bytes += map.buffer.bytes();
    return bytes;
}

void MapMemory::allocate(Pipeline& pipeline) {
    const size_t bytes = map_bytes(pipeline);
    if (arena_.bytes() < bytes) {
        arena_ = Mapping();
        arena_ = Mapping(bytes);
    }
    char* free = arena_.data<char>();
    for (Pool& pool : pipeline.pools) {
        pool.lie_at(free);
        free += pool.bytes();
    }
    auto& maps = pipeline.maps;
    for (Map& map : maps) {
        if (!map.has_memory()) continue;
        map.buffer.lie_at(free);
        // Beside pixels nothing is ever written, and zeros are expected.
        if (map.buffer.pixel) std::memset(free, 0, map.buffer.bytes());
        free += map.buffer.bytes();
    }
    for (Map& map : maps) {
        const Map* first = &map;
        while (first->before != Map::none) first = &maps[first->before];
        if (first != &map) map.buffer.rows = first->buffer.rows;
    }
}

}  // namespace sparsr
