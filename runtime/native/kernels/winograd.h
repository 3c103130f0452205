// The transforms of Winograd's minimal filtering F(4x4, 3x3), one vector of values at a time.
#pragma once

#include "simd.h"

namespace sparsr::SPARSR_ISA {

// B^T x for six values a step apart, in place.
SPARSR_INLINE void transform_input(Vector* x, int step) {
    const Vector x0 = x[0], x1 = x[step], x2 = x[2 * step], x3 = x[3 * step], x4 = x[4 * step], x5 = x[5 * step];
    const Vector p = x4 - 4 * x2, q = x3 - 4 * x1, r = x4 - x2, s = 2 * (x3 - x1);
    x[0] = 4 * x0 - 5 * x2 + x4;
    x[step] = p + q;
    x[2 * step] = p - q;
    x[3 * step] = r + s;
    x[4 * step] = r - s;
    x[5 * step] = 4 * x1 - 5 * x3 + x5;
}

// A^T x: six values become the first four places.
SPARSR_INLINE void transform_output(Vector* x, int step) {
    const Vector x0 = x[0], x5 = x[5 * step];
    const Vector a = x[step] + x[2 * step], b = x[step] - x[2 * step];
    const Vector c = x[3 * step] + x[4 * step], d = x[3 * step] - x[4 * step];
    x[0] = x0 + a + c;
    x[step] = b + 2 * d;
    x[2 * step] = a + 4 * c;
    x[3 * step] = b + 8 * d + x5;
}

}  // namespace sparsr::SPARSR_ISA
