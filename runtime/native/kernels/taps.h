// The inner loop of the sparse convolution.
#pragma once

#include "kernels/simd.h"

namespace sparsr::SPARSR_ISA {

// The weights of a tap, each ready to be multiplied by vectors.
template <int V>
struct TapWeights {
    Vector each[V];
    SPARSR_ALWAYS explicit TapWeights(const Real* weights) {
#pragma GCC unroll 4
        for (int i = 0; i < V; ++i) each[i] = V > 1 ? held(broadcast(weights[i])) : broadcast(weights[i]);
    }
    SPARSR_ALWAYS Vector operator[](int i) const { return each[i]; }
};
#if defined(__aarch64__) && defined(SPARSR_EXTENSIONS)
// There a multiply-add takes its weight from a lane: one load for those of four outputs.
template <>
struct TapWeights<4> {
    typedef Real Lanes __attribute__((vector_size(4 * sizeof(Real)), aligned(sizeof(Real)), may_alias));
    Lanes all;
    SPARSR_ALWAYS explicit TapWeights(const Real* weights) : all(*reinterpret_cast<const Lanes*>(weights)) {
        asm("" : "+w"(all));  // else it is loaded lane by lane
    }
    SPARSR_ALWAYS Vector operator[](int i) const { return broadcast(all[i]); }
};
#endif

#if defined(__aarch64__) && defined(SPARSR_EXTENSIONS) && SPARSR_LANES > 1
#ifdef SPARSR_HALF
SPARSR_INLINE float16x8x4_t load_four(const Real* from) { return vld1q_f16_x4(from); }
#else
SPARSR_INLINE float32x4x4_t load_four(const Real* from) { return vld1q_f32_x4(from); }
#endif

// The same as below for one output and vectors side by side, which arm64 loads four at a time; the multiply-adds take their
// weight from a lane.
template <int R, int P>
SPARSR_INLINE void add_own_taps(Vector (&sums)[R * P], const Real* in, ptrdiff_t next, const Tap<1>* tap, const Tap<1>* end) {
    typedef Real Lanes __attribute__((vector_size(sizeof(Tap<1>))));
    in = opaque(in);  // one sum for all taps
    Vector sum[R * P];  // the compiler would else store them after every load, which might be of theirs
#pragma GCC unroll 24
    for (int i = 0; i < R * P; ++i) sum[i] = sums[i];
    while (tap != end) {
        const Real* from = reinterpret_cast<const Real*>(reinterpret_cast<const char*>(in) + tap->offset);
        Lanes lanes_of_tap;
        memcpy(&lanes_of_tap, tap, sizeof lanes_of_tap);
        asm("" : "+w"(lanes_of_tap));
        const auto times = [&](Vector x) { return x * broadcast(lanes_of_tap[sizeof(int32_t) / sizeof(Real)]); };
        tap = opaque(tap + 1);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r, from += next) {
            const Real* at = opaque(from);
            Vector* to = sum + r * P;
#pragma GCC unroll 16
            for (int p = 0; p + 4 <= P; p += 4, at = opaque(at + 4 * lanes)) {
                const auto x = load_four(at);
#pragma GCC unroll 4
                for (int i = 0; i < 4; ++i) to[p + i] += times(Vector(x.val[i]));
            }
#pragma GCC unroll 4
            for (int p = 0; p < P % 4; ++p) to[P / 4 * 4 + p] += times(load(at + p * lanes));
        }
    }
#pragma GCC unroll 24
    for (int i = 0; i < R * P; ++i) sums[i] = sum[i];
}
#endif

// R rows of P vectors of V outputs that share their places: per tap V weights and as many multiply-adds for each of R * P
// vectors of inputs, the sums in registers. S is the convolution's stride, `next` what lies between an input row and the one
// that the next row of sums reads.
template <int R, int P, int S, int V>
SPARSR_INLINE void add_taps(Vector (&sum)[V][R * P], const Real* in, ptrdiff_t next, const Tap<V>* tap, const Tap<V>* end) {
#if defined(__aarch64__) && defined(SPARSR_EXTENSIONS) && SPARSR_LANES > 1
    if constexpr (V == 1 && S == 1 && P >= 4) return add_own_taps<R, P>(sum[0], in, next, tap, end);
#endif
    in = opaque(in);  // one sum for all taps
    while (tap != end) {
        const Real* from = reinterpret_cast<const Real*>(reinterpret_cast<const char*>(in) + tap->offset);
        const Real* values = tap->weights;
#ifdef __aarch64__
        values = opaque(values);  // both loads then move the pointer on
#endif
        tap = reinterpret_cast<const Tap<V>*>(values + (sizeof(Tap<V>) - sizeof(int32_t)) / sizeof(Real));
        if constexpr (R * P < V) {  // whichever are fewer wait in registers
            Vector x[R * P];
#pragma GCC unroll 16
            for (int i = 0; i < R * P; ++i) x[i] = held(load(from + i / P * next + i % P * S * lanes));
#pragma GCC unroll 4
            for (int o = 0; o < V; ++o) {
                const Vector weight = broadcast(values[o]);
#pragma GCC unroll 16
                for (int i = 0; i < R * P; ++i) sum[o][i] += x[i] * weight;
            }
        } else {
            const TapWeights<V> weights(values);
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r) {
                // Keeps the compiler from indexed addresses, which cost an instruction each inside a multiply-add.
                from = opaque(from);
#pragma GCC unroll 16
                for (int p = 0; p < P; ++p) {
                    Vector x = load(from + p * S * lanes);
                    if (V > 1) x = held(x);
#pragma GCC unroll 4
                    for (int o = 0; o < V; ++o) sum[o][r * P + p] += x * weights[o];
                }
                from += next;
            }
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
