#include <utility>

#include "simd.h"

namespace sparsr::SPARSR_ISA {

namespace {

// R rows of P vectors of one output from one block of input channels: a broadcast and R * P multiply-adds per weight,
// the sums in registers. Between blocks they wait in `sums`. S is the convolution's stride.
template <int R, int P, int S>
SPARSR_INLINE void add_taps(Vector (&sum)[R][P], const Real* in, ptrdiff_t in_row, const Tap* tap, const Tap* end) {
    for (; tap != end; ++tap) {
        const Real* from = reinterpret_cast<const Real*>(reinterpret_cast<const char*>(in) + tap->offset);
        const Vector weight = broadcast(tap->weight);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            // Keeps the compiler from indexed addresses, which cost an instruction each inside a multiply-add.
            asm("" : "+r"(from));
#pragma GCC unroll 16
            for (int p = 0; p < P; ++p) sum[r][p] += load(from + p * S * lanes) * weight;
            from += in_row;
        }
    }
}

template <int R, int P, int S>
SPARSR_INLINE void add_all_taps(Vector (&sum)[R][P], const Real* in, ptrdiff_t in_row, const Tap* tap, const Tap* end) {
    if constexpr (!summed_taps) return add_taps<R, P, S>(sum, in, in_row, tap, end);
    for (; tap < end; tap += summed_taps) {
        Vector part[R][P] = {};
        add_taps<R, P, S>(part, in, in_row, tap, end - tap < summed_taps ? end : tap + summed_taps);
#pragma GCC unroll 16
        for (int i = 0; i < R * P; ++i) sum[i / P][i % P] += part[i / P][i % P];
    }
}

template <int R, int P>
SPARSR_INLINE void store_sums(const Vector (&sum)[R][P], const Store& store, int output, int vector) {
    Real* out = store.out + store.offsets[output] + vector * store.step;
    const Vector slope = broadcast(Real(store.slope));
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
        const int32_t* start = conv.starts + static_cast<ptrdiff_t>(block) * conv.outputs;
        for (int output = 0; output < conv.outputs; ++output) {
            Vector sum[R][P];
            Real* waiting = conv.sums + static_cast<ptrdiff_t>(output) * R * P * lanes;
            const Vector bias = broadcast(Real(conv.bias[output]));
#pragma GCC unroll 16
            for (int i = 0; i < R * P; ++i) sum[i / P][i % P] = block ? load(waiting + i * lanes) : bias;
            if (conv.far_inputs && block == 0) fetch_ahead<R, P, S>(conv, in, output);
            add_all_taps<R, P, S>(sum, in, conv.in_row, conv.taps + start[output], conv.taps + start[output + 1]);
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
static_assert(2 * SPARSR_SPARSE_VECTORS <= sparse_sums);

template <int S>
void all_rows(const SparseConv& conv) {
    int row = 0;
    for (; row + 2 <= conv.rows; row += 2) tiles_row<2, S>(conv, row, Widths());
    if (row < conv.rows) tiles_row<1, S>(conv, row, Widths());
}

}  // namespace

void sparse_conv(const SparseConv& conv) { conv.stride == 2 ? all_rows<2>(conv) : all_rows<1>(conv); }

}  // namespace sparsr::SPARSR_ISA
