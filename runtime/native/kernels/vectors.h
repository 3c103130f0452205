// Vectors of activations by the compiler's vector extensions.
#pragma once

#ifdef __aarch64__
#include <arm_neon.h>
#endif

#include "compiler.h"
#include "kernels/kernels.h"

namespace sparsr::SPARSR_ISA {

using namespace SPARSR_REAL;

constexpr int lanes = SPARSR_LANES;
typedef Real Vector __attribute__((vector_size(sizeof(Real) * SPARSR_LANES), may_alias));
typedef float Floats __attribute__((vector_size(sizeof(float) * SPARSR_LANES)));  // a vector's values
typedef float FewFloats __attribute__((vector_size(sizeof(Vector))));             // as many as take a vector's place

SPARSR_INLINE Vector load(const Real* p) { return *reinterpret_cast<const Vector*>(p); }
SPARSR_INLINE void save(Real* p, Vector x) { *reinterpret_cast<Vector*>(p) = x; }
SPARSR_INLINE Floats floats_of(Vector x) { return __builtin_convertvector(x, Floats); }
SPARSR_INLINE Vector reals_of(Floats x) { return __builtin_convertvector(x, Vector); }

// Of the values of x and those of y behind them the ones with the numbers From.
template <int... From>
SPARSR_INLINE Vector shuffled(Vector x, Vector y) {
    return __builtin_shufflevector(x, y, From...);
}

#ifdef SPARSR_HALF
SPARSR_INLINE Vector broadcast(Real x) { return vdupq_n_f16(x); }
SPARSR_INLINE Vector larger(Vector x, Vector y) { return vmaxq_f16(x, y); }
SPARSR_INLINE Vector leaky(Vector x, Vector slope) { return vbslq_f16(vcltzq_f16(x), x * slope, x); }
#else
// x - 0 is x for every x, -0 included, so nothing but the broadcast remains.
SPARSR_INLINE Vector broadcast(Real x) { return x - Vector{}; }
SPARSR_INLINE Vector larger(Vector x, Vector y) { return x > y ? x : y; }
// Negative values times slope, whatever that is.
SPARSR_INLINE Vector leaky(Vector x, Vector slope) { return x < 0 ? x * slope : x; }
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

}  // namespace sparsr::SPARSR_ISA
