// The transforms of Winograd's minimal filtering with tiles of 6 or 8 points a side, one vector of values at a time. Rows that
// share terms are transformed together, so that little leaves the registers; what the others need is loaded again.
#pragma once

#include <atomic>

#include "kernels/simd.h"

namespace sparsr::SPARSR_ISA {

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

// The same, where the points 1, 2 and 1/2 share differences: fewer instructions.
SPARSR_INLINE void transform_input(Vector (&x)[8]) {
    const Vector even = x[4] - x[2], even_next = x[6] - x[4], odd = x[3] - x[1], odd_next = x[5] - x[3];
    const Vector first = (x[6] - x[0]) - 5.25f * even, last = (x[7] - x[1]) - 5.25f * odd_next;
    const Vector one = (even_next - even) - 2.25f * x[4], one_odd = (odd_next - odd) - 2.25f * x[3];
    const Vector two = even_next - 0.25f * even, two_odd = 2.f * (odd_next - 0.25f * odd);
    const Vector half = even_next - 4.f * even, half_odd = 0.5f * (odd_next - 4.f * odd);
    x[0] = first;
    x[1] = one + one_odd;
    x[2] = one - one_odd;
    x[3] = two + two_odd;
    x[4] = two - two_odd;
    x[5] = half + half_odd;
    x[6] = half - half_odd;
    x[7] = last;
}

template <int Rows, int Columns, int Pair, class At, class Put>
SPARSR_INLINE void transform_input_pair(At at, Put put) {
    Vector x[Columns], y[Columns];
#pragma GCC unroll 8
    for (int i = 0; i < Columns; ++i) {
        const auto column = [&](int row) { return at(row, i); };
        if constexpr (Pair < 0) {
            x[i] = roots<Rows, -1>(column, 0);
            y[i] = roots<Rows, -1>(column, 1);
        } else {
            transform_pair<Rows, Pair>(column, x[i], y[i]);
        }
    }
    transform_input(x);
    put(Pair < 0 ? 0 : 2 * Pair + 1, x);
    transform_input(y);
    put(Pair < 0 ? Rows - 1 : 2 * Pair + 2, y);
}

// B^T X B of the values that at(row, column) loads; put(row, values) is given the rows of the result.
template <int Rows, int Columns, class At, class Put>
SPARSR_INLINE void transform_inputs(At at, Put put) {
    transform_input_pair<Rows, Columns, 0>(at, put);
    transform_input_pair<Rows, Columns, 1>(at, put);
    if constexpr (Rows == 8) transform_input_pair<Rows, Columns, 2>(at, put);
    transform_input_pair<Rows, Columns, -1>(at, put);
}

constexpr float power(float x, int exponent) { return exponent ? x * power(x, exponent - 1) : 1; }

// Rows Odd, Odd + 2 and so on of A^T x, which has 2 M rows: sums or differences of the values at both signs, times the point
// to the row's power.
template <int N, int Odd, int M, class At>
SPARSR_INLINE void transform_output_half(At x, Vector (&result)[M]) {
    constexpr const float (&at)[N / 2 - 1] = Points<N>::at;
#pragma GCC unroll 3
    for (int pair = 0; pair < N / 2 - 1; ++pair) {
        const Vector both = Odd ? x(2 * pair + 1) - x(2 * pair + 2) : x(2 * pair + 1) + x(2 * pair + 2);
#pragma GCC unroll 3
        for (int i = 0; i < M; ++i) result[i] = pair ? result[i] + power(at[pair], 2 * i + Odd) * both : both;
    }
    if constexpr (Odd)
        result[M - 1] += x(N - 1);
    else
        result[0] += x(0);
}

// A^T x: the first 2 M of x.
template <int M, int N>
SPARSR_INLINE void transform_output(Vector (&x)[N]) {
    Vector even[M], odd[M];
    const auto at = [&](int i) { return x[i]; };
    transform_output_half<N, 0>(at, even);
    transform_output_half<N, 1>(at, odd);
#pragma GCC unroll 3
    for (int i = 0; i < M; ++i) {
        x[2 * i] = even[i];
        x[2 * i + 1] = odd[i];
    }
}

// A number that is known when the code is compiled.
template <int N>
struct Constant {
    constexpr operator int() const { return N; }
};

// The first `count` rows of A^T X A, OutRows x OutColumns values, of the Rows x Columns that at(row, column) loads;
// put(row, values) is given each.
template <int Rows, int Columns, int OutRows, int OutColumns, int Odd = 0, class Count, class At, class Put>
SPARSR_INLINE void transform_outputs(Count count, At at, Put put) {
    constexpr int half = OutRows / 2;
    Vector rows[half][Columns];
#pragma GCC unroll 8
    for (int i = 0; i < Columns; ++i) {
        Vector column[half];
        transform_output_half<Rows, Odd>([&](int row) { return at(row, i); }, column);
#pragma GCC unroll 3
        for (int j = 0; j < half; ++j) rows[j][i] = column[j];
    }
#pragma GCC unroll 3
    for (int j = 0; j < half; ++j) {
        if (2 * j + Odd >= count) continue;
        transform_output<OutColumns / 2>(rows[j]);
        put(2 * j + Odd, rows[j]);
    }
    if constexpr (!Odd) {
        std::atomic_signal_fence(std::memory_order_seq_cst);  // what both halves need is loaded again: registers are few
        transform_outputs<Rows, Columns, OutRows, OutColumns, 1>(count, at, put);
    }
}

}  // namespace sparsr::SPARSR_ISA
