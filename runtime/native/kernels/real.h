// The type of activations, `Real`: float, or with SPARSR_HALF a float of 16 bits (IEEE 754 binary16). Every source that
// computes with activations is compiled once per type, in a namespace of the type's own. Everything else is float:
// weights and biases until they are packed, factors, and sums where rounding would add up.
#pragma once

#ifdef SPARSR_HALF
#define SPARSR_REAL f16
#else
#define SPARSR_REAL f32
#endif

namespace sparsr::SPARSR_REAL {

#ifdef SPARSR_HALF
typedef __fp16 Real;  // C++ computes with them as floats; vectors of them remain as they are
#else
typedef float Real;
#endif

}  // namespace sparsr::SPARSR_REAL
