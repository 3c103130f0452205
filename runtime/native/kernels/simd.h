// Vectors of SPARSR_LANES activations by the compiler's vector extensions: one source for every instruction set.
#pragma once

#ifdef SPARSR_HALF
#include <arm_neon.h>
#endif

#include "kernels/kernels.h"

namespace sparsr::SPARSR_ISA {

using namespace SPARSR_REAL;

constexpr int lanes = SPARSR_LANES;
typedef Real Vector __attribute__((vector_size(sizeof(Real) * SPARSR_LANES), may_alias));

#define SPARSR_ALWAYS inline __attribute__((always_inline))
#define SPARSR_INLINE static SPARSR_ALWAYS

SPARSR_INLINE Vector load(const Real* p) { return *reinterpret_cast<const Vector*>(p); }
SPARSR_INLINE Vector load_anywhere(const Real* p) {
    Vector x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
}
SPARSR_INLINE void save(Real* p, Vector x) { *reinterpret_cast<Vector*>(p) = x; }
#ifdef SPARSR_HALF
SPARSR_INLINE Vector broadcast(Real x) { return vdupq_n_f16(x); }
SPARSR_INLINE Vector larger(Vector x, Vector y) { return vmaxq_f16(x, y); }
// So many products are added up by themselves before they join the others: the smaller a sum, the less rounding takes away.
constexpr int summed_taps = 64;
#else
// x - 0 is x for every x, -0 included, so nothing but the broadcast remains.
SPARSR_INLINE Vector broadcast(Real x) { return x - Vector{}; }
SPARSR_INLINE Vector larger(Vector x, Vector y) { return x > y ? x : y; }
constexpr int summed_taps = 0;  // all
#endif
// The same, in a register: the compiler would else load it again inside every multiply-add.
SPARSR_INLINE Vector held(Vector x) {
#if SPARSR_LANES == 1
#elif defined(__aarch64__)
    asm("" : "+w"(x));
#elif defined(__AVX512F__)
    asm("" : "+v"(x));
#elif defined(__SSE2__)
    asm("" : "+x"(x));
#endif
    return x;
}
// Negative values times slope, whatever that is.
SPARSR_INLINE Vector leaky(Vector x, Vector slope) {
#ifdef SPARSR_HALF
    return vbslq_f16(vcltzq_f16(x), x * slope, x);
#else
    return x < 0 ? x * slope : x;
#endif
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
