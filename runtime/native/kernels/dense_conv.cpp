#include <utility>

#include "kernels/taps.h"

namespace sparsr::SPARSR_ISA {

namespace {

// The products of some taps.
template <int Outputs, int P, int S>
SPARSR_INLINE void add_taps(Vector (&sum)[Outputs][P], const Real* in, const Real* weights, const int32_t* offset, const int32_t* end) {
    in = opaque(in);  // one sum for all taps
    for (; offset != end; ++offset, weights += dense_outputs) {
        const Real* from = reinterpret_cast<const Real*>(reinterpret_cast<const char*>(in) + *offset);
        // Whichever are fewer wait in registers.
        if constexpr (P < Outputs) {
            Vector x[P];
#pragma GCC unroll 16
            for (int p = 0; p < P; ++p) x[p] = load(from + p * S * lanes);
#pragma GCC unroll 16
            for (int o = 0; o < Outputs; ++o) {
                const Vector weight = broadcast(weights[o]);
#pragma GCC unroll 16
                for (int p = 0; p < P; ++p) sum[o][p] += x[p] * weight;
            }
        } else {
#pragma GCC unroll 16
            for (int p = 0; p < P; ++p) {
                const Vector x = load(from + p * S * lanes);
#pragma GCC unroll 16
                for (int o = 0; o < Outputs; ++o) sum[o][p] += x * broadcast(weights[o]);
            }
        }
    }
}

// P vectors of `Outputs` outputs of a group: every input vector is loaded once and used for all of them. S is the stride.
template <int Outputs, int P, int S>
void tile(const DenseConv& conv, int row, int first, int vector) {
    Vector sum[Outputs][P];
#pragma GCC unroll 24
    for (int i = 0; i < Outputs * P; ++i) sum[i / P][i % P] = broadcast(Real(conv.bias[first + i / P]));
    const InRow* in = conv.in + row * S;
    const ptrdiff_t at = static_cast<ptrdiff_t>(vector) * S * lanes;
    const Real* weights = conv.weights + static_cast<ptrdiff_t>(first) * conv.starts[conv.kernel];
    add_all_taps(sum, conv.starts, conv.kernel, [&](auto& to, int k, int32_t begin, int32_t end) {
        add_taps<Outputs, P, S>(to, in[k].first + at, weights + begin * dense_outputs, conv.offsets + begin, conv.offsets + end);
    });
    const Store store = conv.store;
#pragma GCC unroll 16
    for (int o = 0; o < Outputs; ++o) {
        Real* out = place(store, first + o, row, vector);
        const Real* add = store.residual ? residual(store, first + o, row, vector) : nullptr;
        const Vector slope = broadcast(Real(store.slopes[first + o]));
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p) {
            Vector value = sum[o][p];
            if (add) value += load(add + p * lanes);
            save(out + p * store.step, leaky(value, slope));
        }
    }
}

// The outputs from `first` on, `Outputs` at a time, column by column: rows beside each other share most of their inputs. As
// many sums as registers hold beside the inputs and weights they come from: fewer outputs leave room for wider tiles.
template <int Outputs, int S, int... P>
void columns(const DenseConv& conv, int first, std::integer_sequence<int, P...>) {
    using Tile = void (*)(const DenseConv&, int, int, int);
    static constexpr Tile tiles[] = {tile<Outputs, P + 1, S>...};
    constexpr int widest = sizeof...(P);
    const int count = (conv.vectors + widest - 1) / widest;
    for (int i = 0; i < count; ++i) {
        const int start = conv.vectors * i / count, end = conv.vectors * (i + 1) / count;
        for (int row = 0; row < conv.rows; ++row)
            for (int output = first; output + Outputs <= conv.outputs; output += Outputs)
                tiles[end - start - 1](conv, row, output, start);
    }
}

template <int Outputs, int S>
void columns(const DenseConv& conv, int first) {
    constexpr int sums = SPARSR_REGISTERS == 32 ? 24 : 12;
    columns<Outputs, S>(conv, first, std::make_integer_sequence<int, Outputs == 1 ? 8 : sums / Outputs>());
}

template <int S>
void all_outputs(const DenseConv& conv) {
    const int rest = conv.outputs % dense_outputs, whole = conv.outputs - rest;
    columns<dense_outputs, S>(conv, 0);
    if (rest == 1) columns<1, S>(conv, whole);
    if (rest == 2) columns<2, S>(conv, whole);
    if (rest == 3) columns<3, S>(conv, whole);
}

}  // namespace

void dense_conv(const DenseConv& conv) { conv.stride == 2 ? all_outputs<2>(conv) : all_outputs<1>(conv); }

}  // namespace sparsr::SPARSR_ISA
