#include "simd.h"

#define SPARSR_TEXT2(x) #x
#define SPARSR_TEXT(x) SPARSR_TEXT2(x)

namespace sparsr::SPARSR_ISA {

extern const Kernels kernels;
const Kernels kernels = {SPARSR_TEXT(SPARSR_ISA), lanes, SPARSR_REGISTERS == 32 ? 8 : 4, sparse_conv, dense_conv,
                         winograd_conv, masked_tiles, pixel_products, to_pixels, to_lines, fill_sides, affine, add,
                         scaled_add, mul, halve, sum, leaky_line, sigmoid, multiply_adds, load_multiply_adds};

}  // namespace sparsr::SPARSR_ISA
