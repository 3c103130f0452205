// What the processor can do at best: multiply-adds on registers, with one operand from one place in the first cache each,
// and with one from where the weights say.
#include <atomic>

#include "kernels/taps.h"

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
        memory = opaque(memory);
        weight = opaque(weight);
        const Vector factor = broadcast(*weight);
#pragma GCC unroll 16
        for (int i = 0; i < sums; ++i) sum[i] += load(memory + i * lanes) * factor;
    }
#pragma GCC unroll 16
    for (int i = 0; i < sums; ++i) save(out + i * lanes, sum[i]);
}

void tap_multiply_adds(const TapProducts& products) {
    const Real* in = static_cast<const Real*>(products.in);
    const ptrdiff_t in_row = products.in_row / ptrdiff_t(sizeof(Real));
    const auto* taps = reinterpret_cast<const Tap<1>*>(products.taps);
    const int32_t starts[] = {0, products.count};
    Vector sum[1][sparse_rows * SPARSR_SPARSE_VECTORS] = {};
    for (int64_t round = 0; round < products.rounds; ++round) {
        std::atomic_signal_fence(std::memory_order_seq_cst);
        add_all_taps(sum, starts, 1, [=](auto& to, int, int32_t first, int32_t last) {
            add_taps<sparse_rows, SPARSR_SPARSE_VECTORS, 1>(to, in, in_row, taps + first, taps + last);
        });
    }
    Real* out = static_cast<Real*>(products.out);
#pragma GCC unroll 16
    for (int i = 0; i < sparse_rows * SPARSR_SPARSE_VECTORS; ++i) save(out + i * lanes, sum[0][i]);
}

}  // namespace sparsr::SPARSR_ISA
