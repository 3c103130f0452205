// The inner loop of the sparse convolution.
#pragma once

#include "kernels/simd.h"

namespace sparsr::SPARSR_ISA {

// R rows of P vectors of one output: a broadcast and R * P multiply-adds per weight, the sums in registers. S is the
// convolution's stride, `next` what lies between an input row and the one that the next row of sums reads.
template <int R, int P, int S>
SPARSR_INLINE void add_taps(Vector (&sum)[R][P], const Real* in, ptrdiff_t next, const Tap* tap, const Tap* end) {
    asm("" : "+r"(in));  // one sum for all taps
    for (; tap != end; ++tap) {
        const Real* from = reinterpret_cast<const Real*>(reinterpret_cast<const char*>(in) + tap->offset);
        const Vector weight = broadcast(tap->weight);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            // Keeps the compiler from indexed addresses, which cost an instruction each inside a multiply-add.
            asm("" : "+r"(from));
#pragma GCC unroll 16
            for (int p = 0; p < P; ++p) sum[r][p] += load(from + p * S * lanes) * weight;
            from += next;
        }
    }
}

// The taps of all rows of a kernel, which add(sum, row, begin, end) adds.
template <int A, int B, class Add>
SPARSR_INLINE void add_all_taps(Vector (&sum)[A][B], const int32_t* starts, int rows, Add add) {
    if constexpr (!summed_taps) {
        int32_t first = starts[0];
        for (int row = 0; row < rows; ++row) {
            const int32_t last = starts[row + 1];
            add(sum, row, first, last);
            first = last;
        }
        return;
    }
    Vector all[A][B] = {};
    int left = summed_taps;
    for (int row = 0; row < rows; ++row)
        for (int32_t tap = starts[row]; tap < starts[row + 1];) {
            if (!left) {
#pragma GCC unroll 24
                for (int i = 0; i < A * B; ++i) {
                    all[i / B][i % B] += sum[i / B][i % B];
                    sum[i / B][i % B] = Vector{};
                }
                left = summed_taps;
            }
            const int32_t end = starts[row + 1] - tap < left ? starts[row + 1] : tap + left;
            add(sum, row, tap, end);
            left -= end - tap;
            tap = end;
        }
#pragma GCC unroll 24
    for (int i = 0; i < A * B; ++i) sum[i / B][i % B] += all[i / B][i % B];
}

}  // namespace sparsr::SPARSR_ISA
