#include "tools/heap.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include "system/system.h"

namespace {

std::atomic<size_t> current{0}, peak{0};

}  // namespace

size_t heap_peak() { return peak; }

// The library's `new` and `delete` end here too: the executable's win.
void* operator new(size_t size) {
    void* memory = std::malloc(size ? size : 1);
    if (!memory) throw std::bad_alloc();
    const size_t now = current += sparsr::system::heap_block_bytes(memory);
    for (size_t seen = peak; now > seen && !peak.compare_exchange_weak(seen, now);) {}
    return memory;
}

// Sanitizers bring one of their own, whose memory `delete` here must not get.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
    try {
        return operator new(size);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void operator delete(void* memory) noexcept {
    current -= sparsr::system::heap_block_bytes(memory);
    std::free(memory);
}

void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
