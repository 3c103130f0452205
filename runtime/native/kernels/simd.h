// Vectors of SPARSR_LANES floats by the compiler's vector extensions: one source for every instruction set.
#pragma once

#include "kernels.h"

namespace sparsr::SPARSR_ISA {

constexpr int lanes = SPARSR_LANES;
typedef float Vector __attribute__((vector_size(4 * SPARSR_LANES), may_alias));
typedef int32_t IntVector __attribute__((vector_size(4 * SPARSR_LANES), may_alias));

#define SPARSR_INLINE static inline __attribute__((always_inline))

SPARSR_INLINE Vector load(const float* p) { return *reinterpret_cast<const Vector*>(p); }
SPARSR_INLINE void save(float* p, Vector x) { *reinterpret_cast<Vector*>(p) = x; }
// x - 0 is x for every x, -0 included, so nothing but the broadcast remains.
SPARSR_INLINE Vector broadcast(float x) { return x - Vector{}; }
SPARSR_INLINE Vector leaky(Vector x, Vector slope) {
    const Vector scaled = x * slope;
    return x > scaled ? x : scaled;
}

// Every set provides these under its own namespace.
void sparse_conv(const SparseConv&);
void dense_conv(const DenseConv&);
void winograd_conv(const WinogradConv&);
void masked_tiles(const MaskedTiles&);
void pixel_products(const PixelProducts&);
void to_pixels(const float* in, ptrdiff_t in_channel, int vectors, int width, int channels, int pixel, float* out);
void to_lines(const float* in, int pixel, int vectors, int width, int channels, ptrdiff_t out_channel, float* out);
void fill_sides(float* line, int channels, ptrdiff_t stride, int vectors, int left, int right);
void affine(const float* x, int n, float factor, float offset, float* out);
void add(const float* x, const float* y, int n, float* out);
void scaled_add(const float* x, int n, float factor, const float* y, float* out);
void mul(const float* x, const float* y, int n, float* out);
void halve(const float* upper, const float* lower, int vectors, float* out);
double sum(const float* x, int n);
void leaky_line(const float* x, int n, float slope, float* out);
void sigmoid(const float* x, int n, float* out);
void multiply_adds(const float* memory, int64_t rounds, float* out);
void load_multiply_adds(const float* memory, int64_t rounds, float* out);

}  // namespace sparsr::SPARSR_ISA
