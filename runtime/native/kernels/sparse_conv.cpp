#include <utility>

#include "kernels/taps.h"

namespace sparsr::SPARSR_ISA {

namespace {

template <int R, int P>
SPARSR_INLINE void store_sums(const Vector (&sum)[R][P], const Store& store, int output, int vector) {
    Real* out = store.out + store.offsets[output] + vector * store.step;
    const Vector slope = broadcast(Real(store.slopes[output]));
    const Real* residual = store.residual;
    if (residual) residual += output * store.residual_channel + vector * lanes;
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p) {
            Vector value = sum[r][p];
            if (residual) value += load(residual + r * store.residual_row + p * lanes);
            save(out + r * store.row + p * store.step, leaky(value, slope));
        }
}

// Begins to load an output's share of what the tile to the right will read.
template <int R, int P, int S>
SPARSR_INLINE void fetch_ahead(const SparseConv& conv, const Real* in, int output) {
    const int last = conv.far_inputs * (output + 1) / conv.outputs;
    for (int channel = conv.far_inputs * output / conv.outputs; channel < last; ++channel)
#pragma GCC unroll 16
        for (int i = 0; i < R * P; ++i)
            __builtin_prefetch(in + channel * conv.in_channel + i / P * conv.in_row + (P + i % P) * S * lanes, 0, 2);
}

template <int R, int P, int S>
void tile(const SparseConv& conv, int row, int vector) {
    const Real* in = conv.in + row * conv.in_row + vector * S * lanes;
    Store store = conv.store;
    store.out += row * store.row;
    if (store.residual) store.residual += row * store.residual_row;
    for (int block = 0; block < conv.blocks; ++block) {
        const int32_t* starts = conv.starts + static_cast<ptrdiff_t>(block) * conv.outputs;
        for (int output = 0; output < conv.outputs; ++output) {
            Vector sum[R][P];
            Real* waiting = conv.sums + static_cast<ptrdiff_t>(output) * R * P * lanes;
            const Vector start = block ? Vector{} : broadcast(Real(conv.bias[output]));
#pragma GCC unroll 16
            for (int i = 0; i < R * P; ++i) sum[i / P][i % P] = block && !summed_taps ? load(waiting + i * lanes) : start;
            if (conv.far_inputs && block == 0) fetch_ahead<R, P, S>(conv, in, output);
            add_all_taps<R, P, S>(sum, in, conv.in_row, conv.taps + starts[output], conv.taps + starts[output + 1]);
            if (block && summed_taps)
#pragma GCC unroll 16
                for (int i = 0; i < R * P; ++i) sum[i / P][i % P] += load(waiting + i * lanes);
            if (block == conv.blocks - 1) {
                store_sums(sum, store, output, vector);
                continue;
            }
#pragma GCC unroll 16
            for (int i = 0; i < R * P; ++i) save(waiting + i * lanes, sum[i / P][i % P]);
        }
    }
}

template <int R, int S, int... P>
void tiles_row(const SparseConv& conv, int row, std::integer_sequence<int, P...>) {
    using Tile = void (*)(const SparseConv&, int, int);
    static constexpr Tile tiles[] = {tile<R, P + 1, S>...};
    constexpr int widest = sizeof...(P);
    const int count = (conv.vectors + widest - 1) / widest;
    for (int i = 0; i < count; ++i) {
        const int first = conv.vectors * i / count, last = conv.vectors * (i + 1) / count;
        tiles[last - first - 1](conv, row, first);
    }
}

using Widths = std::make_integer_sequence<int, SPARSR_SPARSE_VECTORS>;
static_assert(sparse_rows * SPARSR_SPARSE_VECTORS <= sparse_sums);

template <int S>
void all_rows(const SparseConv& conv) {
    int row = 0;
    for (; row + sparse_rows <= conv.rows; row += sparse_rows) tiles_row<sparse_rows, S>(conv, row, Widths());
    if (row < conv.rows) tiles_row<1, S>(conv, row, Widths());
}

}  // namespace

void sparse_conv(const SparseConv& conv) { conv.stride == 2 ? all_rows<2>(conv) : all_rows<1>(conv); }

}  // namespace sparsr::SPARSR_ISA
