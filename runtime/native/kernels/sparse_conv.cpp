#include <utility>

#include "kernels/taps.h"

namespace sparsr::SPARSR_ISA {

namespace {

template <int R, int P>
SPARSR_INLINE void store_sums(const Vector (&sum)[R][P], const Store& store, int output, int row, int vector) {
    const Vector slope = broadcast(Real(store.slopes[output]));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
        Real* out = place(store, output, row + r, vector);
        const Real* add = store.residual ? residual(store, output, row + r, vector) : nullptr;
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p) {
            Vector value = sum[r][p];
            if (add) value += load(add + p * lanes);
            save(out + p * store.step, leaky(value, slope));
        }
    }
}

// Begins to load an output's share of what the tile to the right will read.
template <int R, int P, int S>
SPARSR_INLINE void fetch_ahead(const SparseConv& conv, const InRow* in, ptrdiff_t at, int output) {
    const int last = conv.far_inputs * (output + 1) / conv.outputs;
    for (int channel = conv.far_inputs * output / conv.outputs; channel < last; ++channel)
#pragma GCC unroll 16
        for (int i = 0; i < R * P; ++i)
            __builtin_prefetch(in[i / P * S].first + at + channel * conv.in_channel + (P + i % P) * S * lanes, 0, 2);
}

template <int R, int P, int S>
void tile(const SparseConv& conv, int row, int vector) {
    const InRow* in = conv.in + row * S;
    const ptrdiff_t at = static_cast<ptrdiff_t>(vector) * S * lanes;
    const int32_t* starts = conv.starts;
    const Store store = conv.store;
    for (int block = 0; block < conv.blocks; ++block)
        for (int output = 0; output < conv.outputs; ++output, starts += conv.kernel) {
            Vector sum[R][P];
            Real* waiting = conv.sums + static_cast<ptrdiff_t>(output) * R * P * lanes;
            const Vector start = block ? Vector{} : broadcast(Real(conv.bias[output]));
#pragma GCC unroll 16
            for (int i = 0; i < R * P; ++i) sum[i / P][i % P] = block && !summed_taps ? load(waiting + i * lanes) : start;
            if (conv.far_inputs && block == 0) fetch_ahead<R, P, S>(conv, in, at, output);
            add_all_taps(sum, starts, conv.kernel, [&](auto& to, int k, int32_t first, int32_t last) {
                add_taps<R, P, S>(to, in[k].first + at, in[k].next, conv.taps + first, conv.taps + last);
            });
            if (block && summed_taps)
#pragma GCC unroll 16
                for (int i = 0; i < R * P; ++i) sum[i / P][i % P] += load(waiting + i * lanes);
            if (block == conv.blocks - 1) {
                store_sums(sum, store, output, row, vector);
                continue;
            }
#pragma GCC unroll 16
            for (int i = 0; i < R * P; ++i) save(waiting + i * lanes, sum[i / P][i % P]);
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
