#include "kernels/simd.h"

#define SPARSR_TEXT2(x) #x
#define SPARSR_TEXT(x) SPARSR_TEXT2(x)

namespace sparsr::SPARSR_ISA {

static const Kernels kernels = {{SPARSR_TEXT(SPARSR_ISA), lanes, sizeof(Real), SPARSR_REGISTERS == 32 ? 8 : 12,
                          SPARSR_SPARSE_VECTORS, multiply_adds, load_multiply_adds, tap_multiply_adds},
                         sparse_conv, dense_conv,
#ifdef SPARSR_HALF
                         nullptr, nullptr, nullptr, nullptr, nullptr,
#else
                         winograd_conv, masked_tiles, pixel_products, to_pixels, to_lines,
#endif
                         fill_sides, affine, add, scaled_add, weighted_sum, mul, halve, maximum, mix,
                         interpolate, to_bytes, sum, channel_norm, leaky_line, sigmoid, silu, gelu_line, gelu_tanh_line,
                         mish_line, hardswish_line, tanh_line, clip_line, gate};

extern const KernelSet& set;
const KernelSet& set = kernels;

}  // namespace sparsr::SPARSR_ISA
