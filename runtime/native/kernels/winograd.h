// The transforms of Winograd's minimal filtering F(4x4, 3x3) and F(4x4, 5x5), one vector of values at a time. Rows are
// transformed two at a time, those that share terms, so that everything stays in registers; what the others need is loaded
// again.
#pragma once

#include "simd.h"

namespace sparsr::SPARSR_ISA {

constexpr int tile_side = 4;

// The points at which a product of polynomials is taken: 0, those here with both signs, infinity. `N`: how many in all, the
// side of what a tile reads.
template <int N>
struct Points;
template <>
struct Points<6> {
    static constexpr float at[] = {1, 2};
};
template <>
struct Points<8> {
    static constexpr float at[] = {1, 2, 0.5f};
};

constexpr float square(float x) { return x * x; }

// The product over the pairs of points, without the one at `but`, of x^2 - square, whose coefficients belong to the values
// x[first], x[first + 2] and so on.
template <int N, int But, class At>
SPARSR_INLINE Vector roots(At x, int first) {
    constexpr const float (&at)[N / 2 - 1] = Points<N>::at;
    if constexpr (N == 6 && But < 0) {
        constexpr float a = square(at[0]), b = square(at[1]);
        return x(first + 4) - (a + b) * x(first + 2) + a * b * x(first);
    } else if constexpr (N == 6) {
        return x(first + 2) - square(at[1 - But]) * x(first);
    } else if constexpr (But < 0) {
        constexpr float a = square(at[0]), b = square(at[1]), c = square(at[2]);
        return x(first + 6) - (a + b + c) * x(first + 4) + (a * b + b * c + c * a) * x(first + 2) - a * b * c * x(first);
    } else {
        constexpr float a = square(at[(But + 1) % 3]), b = square(at[(But + 2) % 3]);
        return x(first + 4) - (a + b) * x(first + 2) + a * b * x(first);
    }
}

// The values of B^T x for both signs of a point.
template <int N, int Pair, class At>
SPARSR_INLINE void transform_pair(At x, Vector& plus, Vector& minus) {
    const Vector even = roots<N, Pair>(x, 2), odd = Points<N>::at[Pair] * roots<N, Pair>(x, 1);
    plus = even + odd;
    minus = even - odd;
}

// B^T x, in place.
template <int N>
SPARSR_INLINE void transform_input(Vector (&x)[N]) {
    Vector result[N];
    const auto at = [&](int i) { return x[i]; };
    result[0] = roots<N, -1>(at, 0);
    transform_pair<N, 0>(at, result[1], result[2]);
    transform_pair<N, 1>(at, result[3], result[4]);
    if constexpr (N == 8) transform_pair<N, 2>(at, result[5], result[6]);
    result[N - 1] = roots<N, -1>(at, 1);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) x[i] = result[i];
}

template <int N, int Pair, class At, class Put>
SPARSR_INLINE void transform_input_pair(At at, Put put) {
    Vector x[N], y[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
        const auto column = [&](int row) { return at(row, i); };
        if constexpr (Pair < 0) {
            x[i] = roots<N, -1>(column, 0);
            y[i] = roots<N, -1>(column, 1);
        } else {
            transform_pair<N, Pair>(column, x[i], y[i]);
        }
    }
    transform_input(x);
    put(Pair < 0 ? 0 : 2 * Pair + 1, x);
    transform_input(y);
    put(Pair < 0 ? N - 1 : 2 * Pair + 2, y);
}

// B^T X B of the NxN values that at(row, column) loads; put(row, values) is given the rows of the result.
template <int N, class At, class Put>
SPARSR_INLINE void transform_inputs(At at, Put put) {
    transform_input_pair<N, 0>(at, put);
    transform_input_pair<N, 1>(at, put);
    if constexpr (N == 8) transform_input_pair<N, 2>(at, put);
    transform_input_pair<N, -1>(at, put);
}

// Rows 0 and 2 of A^T x, or 1 and 3: sums or differences of the values at both signs, times the point to the row's power.
template <int N, int Odd, class At>
SPARSR_INLINE void transform_output_pair(At x, Vector& low, Vector& high) {
    constexpr const float (&at)[N / 2 - 1] = Points<N>::at;
    const auto both = [&](int pair) { return Odd ? x(2 * pair + 1) - x(2 * pair + 2) : x(2 * pair + 1) + x(2 * pair + 2); };
    constexpr float b = Odd ? at[1] : 1, c = Odd ? at[N / 2 - 2] : 1;
    const Vector p = both(0), q = both(1);
    low = p + b * q;
    high = p + square(at[1]) * b * q;
    if constexpr (N == 8) {
        const Vector r = both(2);
        low += c * r;
        high += square(at[2]) * c * r;
    }
    if constexpr (Odd)
        high += x(N - 1);
    else
        low += x(0);
}

// The first four values of A^T x, in place.
template <int N>
SPARSR_INLINE void transform_output(Vector (&x)[N]) {
    Vector result[tile_side];
    const auto at = [&](int i) { return x[i]; };
    transform_output_pair<N, 0>(at, result[0], result[2]);
    transform_output_pair<N, 1>(at, result[1], result[3]);
#pragma GCC unroll 4
    for (int i = 0; i < tile_side; ++i) x[i] = result[i];
}

// The first `Rows` rows of A^T X A of the NxN values that at(row, column) loads; put(row, values) is given four values each.
template <int N, int Rows, class At, class Put>
SPARSR_INLINE void transform_outputs(At at, Put put) {
    Vector x[N], y[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) transform_output_pair<N, 0>([&](int row) { return at(row, i); }, x[i], y[i]);
    transform_output(x);
    put(0, x);
    if constexpr (Rows > 2) {
        transform_output(y);
        put(2, y);
    }
    if constexpr (Rows > 1) {
#pragma GCC unroll 8
        for (int i = 0; i < N; ++i) transform_output_pair<N, 1>([&](int row) { return at(row, i); }, x[i], y[i]);
        transform_output(x);
        put(1, x);
        if constexpr (Rows > 3) {
            transform_output(y);
            put(3, y);
        }
    }
}

}  // namespace sparsr::SPARSR_ISA
