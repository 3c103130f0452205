#include "run/memory.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace sparsr {

namespace {

constexpr size_t second_cache = 1 << 20;

size_t bytes_of(const std::vector<Buffer*>& buffers) {
    return std::accumulate(buffers.begin(), buffers.end(), size_t(0),
                           [](size_t sum, const Buffer* buffer) { return sum + buffer->bytes(); });
}

}  // namespace

size_t map_bytes(const std::vector<Map>& maps) {
    return std::accumulate(maps.begin(), maps.end(), size_t(0), [](size_t sum, const Map& map) {
        return map.has_memory() ? sum + map.buffer.bytes() : sum;
    });
}

void MapMemory::allocate(std::vector<Map>& maps) {
    std::vector<Buffer*> rings, others;
    for (Map& map : maps)
        if (map.has_memory()) (map.buffer.mirrored() ? rings : others).push_back(&map.buffer);
    place(others, bytes_of(rings));
    allocate_rings(std::move(rings));
    for (Map& map : maps) {
        const Map* first = &map;
        while (first->before != Map::none) first = &maps[first->before];
        if (first != &map) map.buffer.lie_in(first->buffer);
    }
}

void MapMemory::take_back(std::vector<Map>& maps) {
    for (Map& map : maps) spares_.add(std::move(map.buffer.memory));
}

size_t MapMemory::bytes(const std::vector<Map>& maps) const {
    return std::accumulate(maps.begin(), maps.end(), arena_.bytes() + spares_.bytes(),
                           [](size_t sum, const Map& map) { return sum + map.buffer.memory.bytes(); });
}

// Maps that are not mirrored lie one after the other in a memory that only grows, unless that would leave too little for
// the others.
void MapMemory::place(const std::vector<Buffer*>& buffers, size_t other_bytes) {
    const size_t bytes = bytes_of(buffers);
    if (arena_.bytes() < bytes || arena_.bytes() > most_ - other_bytes) {
        arena_ = Mapping();
        if (bytes) arena_ = Mapping(bytes, false);
    }
    char* free = arena_.data<char>();
    for (Buffer* buffer : buffers) {
        buffer->lie_at(free);
        // Beside pixels nothing is ever written, and zeros are expected.
        if (buffer->pixel) std::memset(free, 0, buffer->bytes());
        free += buffer->bytes();
    }
}

// Rings take those of the sizes before, the largest first. What none takes is kept for sizes that come again, as long as
// all is not much more than the largest size has needed.
void MapMemory::allocate_rings(std::vector<Buffer*> buffers) {
    std::stable_sort(buffers.begin(), buffers.end(), [](auto* a, auto* b) { return a->bytes() > b->bytes(); });
    const size_t needed = bytes_of(buffers);
    most_in_rings_ = std::max(most_in_rings_, needed);
    size_t room = std::min(most_ - arena_.bytes(), most_in_rings_ + most_in_rings_ / 4) - needed;
    for (Buffer* buffer : buffers) {
        const size_t bytes = buffer->bytes();
        // A small ring in a long one would leave the second cache.
        Mapping used = spares_.take(bytes, bytes + (bytes < second_cache ? std::min(bytes, room) : room));
        if (!used.data()) continue;
        room -= used.bytes() - bytes;
        buffer->use(std::move(used));
    }
    spares_.keep(room);
    for (Buffer* buffer : buffers)
        if (!buffer->start) buffer->use(Mapping(buffer->bytes(), true));
}

}  // namespace sparsr
