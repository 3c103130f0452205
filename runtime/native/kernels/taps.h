// The inner loop of the sparse convolution.
#pragma once

#include "kernels/simd.h"

namespace sparsr::SPARSR_ISA {

// R rows of P vectors of one output: a broadcast and R * P multiply-adds per weight, the sums in registers. S is the
// convolution's stride.
template <int R, int P, int S>
SPARSR_INLINE void add_taps(Vector (&sum)[R][P], const Real* in, ptrdiff_t in_row, const Tap* tap, const Tap* end) {
    for (; tap != end; ++tap) {
        const Real* from = reinterpret_cast<const Real*>(reinterpret_cast<const char*>(in) + tap->offset);
        const Vector weight = broadcast(tap->weight);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            // Keeps the compiler from indexed addresses, which cost an instruction each inside a multiply-add.
            asm("" : "+r"(from));
#pragma GCC unroll 16
            for (int p = 0; p < P; ++p) sum[r][p] += load(from + p * S * lanes) * weight;
            from += in_row;
        }
    }
}

template <int R, int P, int S>
SPARSR_INLINE void add_all_taps(Vector (&sum)[R][P], const Real* in, ptrdiff_t in_row, const Tap* tap, const Tap* end) {
    if constexpr (!summed_taps) return add_taps<R, P, S>(sum, in, in_row, tap, end);
    const Tap* first = end - tap < summed_taps ? end : tap + summed_taps;
    add_taps<R, P, S>(sum, in, in_row, tap, first);
    for (tap = first; tap < end; tap += summed_taps) {
        Vector part[R][P] = {};
        add_taps<R, P, S>(part, in, in_row, tap, end - tap < summed_taps ? end : tap + summed_taps);
#pragma GCC unroll 16
        for (int i = 0; i < R * P; ++i) sum[i / P][i % P] += part[i / P][i % P];
    }
}

}  // namespace sparsr::SPARSR_ISA
