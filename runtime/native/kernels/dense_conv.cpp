#include "simd.h"

namespace sparsr::SPARSR_ISA {

namespace {

// P vectors of dense_outputs outputs: every input vector is loaded once and used for all of them. S is the stride.
template <int P, int S>
void tile(const DenseConv& conv, const Store& store, const Real* in, int group, int vector) {
    constexpr int outputs = dense_outputs;
    const int first = group * outputs;
    Vector sum[outputs][P];
#pragma GCC unroll 16
    for (int i = 0; i < outputs * P; ++i) {
        const int output = first + i / P;
        sum[i / P][i % P] = broadcast(Real(output < conv.outputs ? conv.bias[output] : 0));
    }
    const Real* weights = conv.weights + static_cast<ptrdiff_t>(group) * conv.taps * outputs;
    for (int tap = 0; tap < conv.taps; ++tap, weights += outputs) {
        const Real* from = reinterpret_cast<const Real*>(reinterpret_cast<const char*>(in) + conv.offsets[tap]);
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p) {
            const Vector x = load(from + p * S * lanes);
#pragma GCC unroll 16
            for (int o = 0; o < outputs; ++o) sum[o][p] += x * broadcast(weights[o]);
        }
    }
    const Vector slope = broadcast(Real(store.slope));
#pragma GCC unroll 16
    for (int o = 0; o < outputs; ++o) {
        if (first + o >= conv.outputs) return;
        Real* out = store.out + store.offsets[first + o] + vector * store.step;
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p) {
            Vector value = sum[o][p];
            if (store.residual)
                value += load(store.residual + (first + o) * store.residual_channel + (vector + p) * lanes);
            save(out + p * store.step, leaky(value, slope));
        }
    }
}

constexpr int widest = SPARSR_REGISTERS == 32 ? 6 : 3;

template <int S>
void all_rows(const DenseConv& conv) {
    using Tile = void (*)(const DenseConv&, const Store&, const Real*, int, int);
    static constexpr Tile tiles[] = {tile<1, S>, tile<2, S>, tile<3, S>, tile<4, S>, tile<5, S>, tile<6, S>};
    const int count = (conv.vectors + widest - 1) / widest, groups = (conv.outputs + dense_outputs - 1) / dense_outputs;
    for (int row = 0; row < conv.rows; ++row) {
        Store store = conv.store;
        store.out += row * store.row;
        if (store.residual) store.residual += row * store.residual_row;
        for (int i = 0; i < count; ++i) {
            const int first = conv.vectors * i / count, last = conv.vectors * (i + 1) / count;
            const Real* in = conv.in + row * conv.in_row + first * S * lanes;
            for (int group = 0; group < groups; ++group) tiles[last - first - 1](conv, store, in, group, first);
        }
    }
}

}  // namespace

void dense_conv(const DenseConv& conv) { conv.stride == 2 ? all_rows<2>(conv) : all_rows<1>(conv); }

}  // namespace sparsr::SPARSR_ISA
