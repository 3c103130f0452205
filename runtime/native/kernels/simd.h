// What kernels do with vectors of SPARSR_LANES activations: one source for every instruction set.
#pragma once

#include <string.h>

#include "compiler.h"
#ifdef SPARSR_EXTENSIONS
#include "kernels/vectors.h"
#else
#include "kernels/portable_vectors.h"
#endif

namespace sparsr::SPARSR_ISA {

#ifdef SPARSR_HALF
// So many products are added up by themselves before they join the others: the smaller a sum, the less rounding takes away.
constexpr int summed_taps = 64;
#else
constexpr int summed_taps = 0;  // all
#endif

SPARSR_INLINE Vector load_anywhere(const Real* p) {
    Vector x;
    memcpy(&x, p, sizeof x);
    return x;
}

// Where vector j of row r of an output goes, and what is added to it.
SPARSR_INLINE Real* place(const Store& store, int output, int row, int vector) {
    return store.rows[row * store.block + store.phases[output]] + store.offsets[output] + vector * store.step;
}
SPARSR_INLINE const Real* residual(const Store& store, int output, int row, int vector) {
    return store.residual[row] + store.residuals[output] + vector * lanes;
}

// Every set provides these under its own namespace.
void sparse_conv(const SparseConv&);
void dense_conv(const DenseConv&);
void winograd_conv(const WinogradConv&);
void masked_tiles(const MaskedTiles&);
void pixel_products(const PixelProducts&);
void to_pixels(const float* in, ptrdiff_t in_channel, int vectors, int width, int channels, int pixel, float* out);
void to_lines(const float* in, int pixel, int vectors, int width, int channels, ptrdiff_t out_channel, float* out);
void fill_sides(Real* line, int channels, ptrdiff_t stride, int vectors, int left, int right);
void affine(const Real* x, int n, float factor, float offset, Real* out);
void add(const Real* x, const Real* y, int n, Real* out);
void scaled_add(const Real* x, int n, float factor, const Real* y, Real* out);
void weighted_sum(const float* x, int count, const float* rows, int width, float* out);
void mul(const Real* x, const Real* y, int n, Real* out);
void halve(const Real* upper, const Real* lower, int vectors, Real* out);
void maximum(const Real* x, const Real* y, int n, Real* out);
void mix(const Real* x, const Real* y, int n, float share, Real* out);
void interpolate(const Real* x, const int32_t* low, const int32_t* high, const float* share, int n, Real* out);
void to_bytes(const Real* x, int n, float factor, uint8_t* out);
double sum(const Real* x, int n);
void leaky_line(const Real* x, int n, float slope, Real* out);
void sigmoid(const Real* x, int n, Real* out);
void silu(const Real* x, int n, Real* out);
void gate(const Real* x, const Real* y, int n, Real* out);
void gelu_line(const Real* x, int n, Real* out);
void gelu_tanh_line(const Real* x, int n, Real* out);
void mish_line(const Real* x, int n, Real* out);
void hardswish_line(const Real* x, int n, Real* out);
void tanh_line(const Real* x, int n, Real* out);
void clip_line(const Real* x, int n, float low, float high, Real* out);
void channel_norm(const ChannelNorm&);
void multiply_adds(const void* memory, int64_t rounds, void* out);
void load_multiply_adds(const void* memory, int64_t rounds, void* out);
void tap_multiply_adds(const TapProducts&);

}  // namespace sparsr::SPARSR_ISA
