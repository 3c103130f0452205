// What vectors.h has, in plain C++17: loops over a vector's values, which the compiler may turn into instructions for vectors.
#pragma once

#include <string.h>

#include "compiler.h"
#include "kernels/kernels.h"

namespace sparsr::SPARSR_ISA {

using namespace SPARSR_REAL;

constexpr int lanes = SPARSR_LANES;

struct Vector {
    Real values[lanes];
    Real& operator[](int lane) { return values[lane]; }
    Real operator[](int lane) const { return values[lane]; }
};
using Floats = Vector;
using FewFloats = Vector;

SPARSR_INLINE Vector load(const Real* p) {
    Vector x;
    memcpy(&x, p, sizeof x);
    return x;
}
SPARSR_INLINE void save(Real* p, const Vector& x) { memcpy(p, &x, sizeof x); }
SPARSR_INLINE Floats floats_of(Vector x) { return x; }
SPARSR_INLINE Vector reals_of(Floats x) { return x; }

template <class Function>
SPARSR_INLINE Vector by_lane(Function function) {
    Vector result;
    for (int lane = 0; lane < lanes; ++lane) result[lane] = function(lane);
    return result;
}

template <int... From>
SPARSR_INLINE Vector shuffled(const Vector& x, const Vector& y) {
    return {{(From < lanes ? x[From % lanes] : y[From % lanes])...}};
}

SPARSR_INLINE Vector broadcast(Real x) {
    return by_lane([=](int) { return x; });
}

#define SPARSR_BY_LANE(op)                                                                             \
    SPARSR_INLINE Vector operator op(const Vector& x, const Vector& y) {                               \
        return by_lane([&](int lane) { return x[lane] op y[lane]; });                                  \
    }                                                                                                  \
    SPARSR_INLINE Vector operator op(const Vector& x, Real y) { return x op broadcast(y); }            \
    SPARSR_INLINE Vector operator op(Real x, const Vector& y) { return broadcast(x) op y; }            \
    SPARSR_INLINE Vector& operator op##=(Vector& x, const Vector& y) { return x = x op y; }
SPARSR_BY_LANE(+)
SPARSR_BY_LANE(-)
SPARSR_BY_LANE(*)
SPARSR_BY_LANE(/)
#undef SPARSR_BY_LANE

SPARSR_INLINE Vector larger(const Vector& x, const Vector& y) {
    return by_lane([&](int lane) { return x[lane] > y[lane] ? x[lane] : y[lane]; });
}
SPARSR_INLINE Vector leaky(const Vector& x, const Vector& slope) {
    return by_lane([&](int lane) { return x[lane] < 0 ? x[lane] * slope[lane] : x[lane]; });
}
SPARSR_INLINE Vector held(const Vector& x) { return x; }

}  // namespace sparsr::SPARSR_ISA
