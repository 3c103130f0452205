// Rows of lines, where a vector holds columns, as rows of pixels, where it holds channels, and back.
#include "kernels/simd.h"

namespace sparsr::SPARSR_ISA {

namespace {

#if SPARSR_LANES == 16
#define SPARSR_LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#elif SPARSR_LANES == 8
#define SPARSR_LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7
#elif SPARSR_LANES == 4
#define SPARSR_LANE_NUMBERS 0, 1, 2, 3
#else
#define SPARSR_LANE_NUMBERS 0
#endif

// Swaps the blocks of S x S values beside the diagonal of 2 S x 2 S blocks.
template <int S, int... L>
SPARSR_INLINE void swap_blocks(Vector* x) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i)
        if (!(i & S)) {
            const Vector a = x[i], b = x[i + S];
            x[i] = shuffled<(L & S ? lanes + L - S : L)...>(a, b);
            x[i + S] = shuffled<(L & S ? lanes + L : L + S)...>(a, b);
        }
}

// Value i of vector j becomes value j of vector i.
SPARSR_INLINE void transpose(Vector* x) {
    if constexpr (lanes > 8) swap_blocks<8, SPARSR_LANE_NUMBERS>(x);
    if constexpr (lanes > 4) swap_blocks<4, SPARSR_LANE_NUMBERS>(x);
    if constexpr (lanes > 2) swap_blocks<2, SPARSR_LANE_NUMBERS>(x);
    if constexpr (lanes > 1) swap_blocks<1, SPARSR_LANE_NUMBERS>(x);
}

}  // namespace

void to_pixels(const float* in, ptrdiff_t in_channel, int vectors, int width, int channels, int pixel, float* out) {
    for (int v = 0; v < vectors; ++v)
        for (int first = 0; first < channels; first += lanes) {
            Vector x[lanes];
            const float* from = in + first * in_channel + v * lanes;
#pragma GCC unroll 16
            for (int c = 0; c < lanes; ++c, from += in_channel) x[c] = first + c < channels ? load(from) : Vector{};
            transpose(x);
#pragma GCC unroll 16
            for (int lane = 0; lane < lanes; ++lane)
                if (lane * vectors + v < width) save(out + (lane * vectors + v) * pixel + first, x[lane]);
        }
}

void to_lines(const float* in, int pixel, int vectors, int width, int channels, ptrdiff_t out_channel, float* out) {
    for (int v = 0; v < vectors; ++v)
        for (int first = 0; first < channels; first += lanes) {
            Vector x[lanes];
#pragma GCC unroll 16
            for (int lane = 0; lane < lanes; ++lane)
                x[lane] = lane * vectors + v < width ? load(in + (lane * vectors + v) * pixel + first) : Vector{};
            transpose(x);
            float* to = out + first * out_channel + v * lanes;
#pragma GCC unroll 16
            for (int c = 0; c < lanes; ++c, to += out_channel)
                if (first + c < channels) save(to, x[c]);
        }
}

}  // namespace sparsr::SPARSR_ISA
