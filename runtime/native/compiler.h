// What compilers offer beyond C++17, and what does in its place where they don't or SPARSR_PORTABLE forbids it.
#pragma once

#include <stdint.h>

#if defined(__GNUC__) && !defined(SPARSR_PORTABLE)
#define SPARSR_EXTENSIONS
#define SPARSR_ALWAYS inline __attribute__((always_inline))
// Begins to load what lies at a place; the second not into the first cache. No functions: GCC leaves out calls of those
// that do nothing else.
#define SPARSR_PREFETCH(place) __builtin_prefetch(place)
#define SPARSR_PREFETCH_FAR(place) __builtin_prefetch(place, 0, 2)
#else
#define SPARSR_ALWAYS inline
#define SPARSR_PREFETCH(place) static_cast<void>(place)
#define SPARSR_PREFETCH_FAR(place) static_cast<void>(place)
#endif
// Every source has its own: one compiled for an instruction set must not be taken by another.
#define SPARSR_INLINE static SPARSR_ALWAYS

namespace sparsr {

// A pointer about which the compiler knows nothing.
template <class T>
SPARSR_INLINE T* opaque(T* pointer) {
#ifdef SPARSR_EXTENSIONS
    asm("" : "+r"(pointer));
#endif
    return pointer;
}

SPARSR_INLINE int count_bits(uint64_t bits) {
#ifdef SPARSR_EXTENSIONS
    return __builtin_popcountll(bits);
#else
    int count = 0;
    for (; bits; bits &= bits - 1) ++count;
    return count;
#endif
}

// The number of the lowest of them; there must be one.
SPARSR_INLINE int lowest_bit(uint64_t bits) {
#ifdef SPARSR_EXTENSIONS
    return __builtin_ctzll(bits);
#else
    return count_bits(~bits & (bits - 1));
#endif
}

}  // namespace sparsr
