// The transforms of Winograd's minimal filtering F(4x4, 3x3), one vector of values at a time. Rows are transformed two at a
// time, those that share terms, so that everything stays in registers; what the others need is loaded again.
#pragma once

#include "simd.h"

namespace sparsr::SPARSR_ISA {

constexpr int tile_side = 4, spread = 6, products = spread * spread;

// B^T x, in place.
SPARSR_INLINE void transform_input(Vector (&x)[spread]) {
    const Vector x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3], x4 = x[4], x5 = x[5];
    const Vector p = x4 - 4 * x2, q = x3 - 4 * x1, r = x4 - x2, s = 2 * (x3 - x1);
    x[0] = 4 * x0 - 5 * x2 + x4;
    x[1] = p + q;
    x[2] = p - q;
    x[3] = r + s;
    x[4] = r - s;
    x[5] = 4 * x1 - 5 * x3 + x5;
}

// B^T X B of the 6x6 values that at(row, column) loads; put(row, values) is given the rows of the result.
template <class At, class Put>
SPARSR_INLINE void transform_inputs(At at, Put put) {
    Vector x[spread], y[spread];
#pragma GCC unroll 6
    for (int i = 0; i < spread; ++i) {
        const Vector p = at(4, i) - 4 * at(2, i), q = at(3, i) - 4 * at(1, i);
        x[i] = p + q;
        y[i] = p - q;
    }
    transform_input(x);
    put(1, x);
    transform_input(y);
    put(2, y);
#pragma GCC unroll 6
    for (int i = 0; i < spread; ++i) {
        const Vector r = at(4, i) - at(2, i), s = 2 * (at(3, i) - at(1, i));
        x[i] = r + s;
        y[i] = r - s;
    }
    transform_input(x);
    put(3, x);
    transform_input(y);
    put(4, y);
#pragma GCC unroll 6
    for (int i = 0; i < spread; ++i) {
        x[i] = 4 * at(0, i) - 5 * at(2, i) + at(4, i);
        y[i] = 4 * at(1, i) - 5 * at(3, i) + at(5, i);
    }
    transform_input(x);
    put(0, x);
    transform_input(y);
    put(5, y);
}

// A^T x: six values become the first four.
SPARSR_INLINE void transform_output(Vector (&x)[spread]) {
    const Vector a = x[1] + x[2], b = x[1] - x[2], c = x[3] + x[4], d = x[3] - x[4];
    x[0] = x[0] + a + c;
    x[1] = b + 2 * d;
    x[2] = a + 4 * c;
    x[3] = b + 8 * d + x[5];
}

// The first `Rows` rows of A^T X A of the 6x6 values that at(row, column) loads; put(row, values) is given four values each.
template <int Rows, class At, class Put>
SPARSR_INLINE void transform_outputs(At at, Put put) {
    Vector x[spread], y[spread];
#pragma GCC unroll 6
    for (int i = 0; i < spread; ++i) {
        const Vector a = at(1, i) + at(2, i), c = at(3, i) + at(4, i);
        x[i] = at(0, i) + a + c;
        y[i] = a + 4 * c;
    }
    transform_output(x);
    put(0, x);
    if constexpr (Rows > 2) {
        transform_output(y);
        put(2, y);
    }
    if constexpr (Rows > 1) {
#pragma GCC unroll 6
        for (int i = 0; i < spread; ++i) {
            const Vector b = at(1, i) - at(2, i), d = at(3, i) - at(4, i);
            x[i] = b + 2 * d;
            y[i] = b + 8 * d + at(5, i);
        }
        transform_output(x);
        put(1, x);
        if constexpr (Rows > 3) {
            transform_output(y);
            put(3, y);
        }
    }
}

}  // namespace sparsr::SPARSR_ISA
