// What the processor can do at best: multiply-adds on registers, and with one operand from the first cache each, as the
// sparse convolution does them.
#include "simd.h"

namespace sparsr::SPARSR_ISA {

constexpr int sums = peak_sums;

void multiply_adds(const void* first, int64_t rounds, void* to) {
    const Real* memory = static_cast<const Real*>(first);
    Real* out = static_cast<Real*>(to);
    Vector sum[sums];
#pragma GCC unroll 16
    for (int i = 0; i < sums; ++i) sum[i] = load(memory + i * lanes);
    const Vector factor = load(memory), other = load(memory + lanes);
    for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 16
        for (int i = 0; i < sums; ++i) sum[i] = sum[i] * factor + other;
#pragma GCC unroll 16
    for (int i = 0; i < sums; ++i) save(out + i * lanes, sum[i]);
}

void load_multiply_adds(const void* first, int64_t rounds, void* to) {
    const Real* memory = static_cast<const Real*>(first);
    Real* out = static_cast<Real*>(to);
    Vector sum[sums] = {};
    const Real* weight = memory;
    for (int64_t round = 0; round < rounds; ++round) {
        asm volatile("" : "+r"(memory), "+r"(weight) : : "memory");
        const Vector factor = broadcast(*weight);
#pragma GCC unroll 16
        for (int i = 0; i < sums; ++i) sum[i] += load(memory + i * lanes) * factor;
    }
#pragma GCC unroll 16
    for (int i = 0; i < sums; ++i) save(out + i * lanes, sum[i]);
}

}  // namespace sparsr::SPARSR_ISA
