#include "run/memory.h"

#include <cstring>
#include <numeric>

namespace sparsr {

size_t map_bytes(const std::vector<Map>& maps) {
    return std::accumulate(maps.begin(), maps.end(), size_t(0), [](size_t sum, const Map& map) {
        return map.has_memory() ? sum + map.buffer.bytes() : sum;
    });
}

void MapMemory::allocate(std::vector<Map>& maps) {
    const size_t bytes = map_bytes(maps);
    if (arena_.bytes() < bytes) {
        arena_ = Mapping();
        arena_ = Mapping(bytes);
    }
    char* free = arena_.data<char>();
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
