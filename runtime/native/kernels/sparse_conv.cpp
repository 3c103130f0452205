#include <utility>

#include "kernels/taps.h"

namespace sparsr::SPARSR_ISA {

namespace {

template <int R, int P>
SPARSR_INLINE void store_sums(const Vector (&sum)[R * P], const Store& store, int output, int row, int vector) {
    const Vector slope = broadcast(Real(store.slopes[output]));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
        Real* out = place(store, output, row + r, vector);
        const Real* add = store.residual ? residual(store, output, row + r, vector) : nullptr;
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p) {
            Vector value = sum[r * P + p];
            if (add) value += load(add + p * lanes);
            save(out + p * store.step, leaky(value, slope));
        }
    }
}

// Begins to load a group's share of what the tile to the right will read.
template <int R, int P, int S>
SPARSR_INLINE void fetch_ahead(const SparseConv& conv, const InRow* in, ptrdiff_t at, int group) {
    const int last = conv.far_inputs * (group + 1) / conv.groups;
    for (int channel = conv.far_inputs * group / conv.groups; channel < last; ++channel)
#pragma GCC unroll 16
        for (int i = 0; i < R * P; ++i)
            SPARSR_PREFETCH_FAR(in[i / P * S].first + at + channel * conv.in_channel + (P + i % P) * S * lanes);
}

// R rows of P vectors of all outputs, V of them at a time; S is the stride.
template <int V, int R, int P, int S>
void tile(const SparseConv& conv, int row, int vector) {
    const InRow* in = conv.in + row * S;
    const ptrdiff_t at = static_cast<ptrdiff_t>(vector) * S * lanes;
    const auto* taps = static_cast<const Tap<V>*>(conv.taps);
    const int32_t* starts = conv.starts;
    const Store store = conv.store;
    for (int block = 0; block < conv.blocks; ++block)
        for (int group = 0; group < conv.groups; ++group, starts += conv.kernel) {
            const int output = group * V;
            Vector sum[V][R * P];
            Real* waiting = conv.sums + static_cast<ptrdiff_t>(output) * R * P * lanes;
#pragma GCC unroll 24
            for (int i = 0; i < V * R * P; ++i) {
                const Vector start = block ? Vector{} : broadcast(Real(conv.bias[output + i / (R * P)]));
                sum[i / (R * P)][i % (R * P)] = block && !summed_taps ? load(waiting + i * lanes) : start;
            }
            if (conv.far_inputs && block == 0) fetch_ahead<R, P, S>(conv, in, at, group);
            add_all_taps(sum, starts, conv.kernel, [&](auto& to, int k, int32_t first, int32_t last) {
                add_taps<R, P, S>(to, in[k].first + at, in[k].next, taps + first, taps + last);
            });
            if (block && summed_taps)
#pragma GCC unroll 24
                for (int i = 0; i < V * R * P; ++i) sum[i / (R * P)][i % (R * P)] += load(waiting + i * lanes);
            if (block == conv.blocks - 1) {
#pragma GCC unroll 4
                for (int o = 0; o < V; ++o)
                    if (V == 1 || output + o < conv.outputs) store_sums<R, P>(sum[o], store, output + o, row, vector);
                continue;
            }
#pragma GCC unroll 24
            for (int i = 0; i < V * R * P; ++i) save(waiting + i * lanes, sum[i / (R * P)][i % (R * P)]);
        }
}

template <int V, int R, int S, int... P>
void tiles_row(const SparseConv& conv, int row, std::integer_sequence<int, P...>) {
    using Tile = void (*)(const SparseConv&, int, int);
    static constexpr Tile tiles[] = {tile<V, R, P + 1, S>...};
    constexpr int widest = sizeof...(P);
    const int count = (conv.vectors + widest - 1) / widest;
    for (int i = 0; i < count; ++i) {
        const int first = conv.vectors * i / count, last = conv.vectors * (i + 1) / count;
        tiles[last - first - 1](conv, row, first);
    }
}

// Tiles have as many sums as leave registers for weights and inputs. arm64 loads two vectors that lie side by side at once,
// which a tile of one row has more of; of half precision it multiplies by few lanes, so the weights take registers too.
#if defined(__aarch64__)
constexpr int shared_rows(int) { return 1; }
constexpr int shared_vectors(int shared) { return shared == 2 ? 10 : sizeof(Real) == 4 ? 6 : 5; }
#elif SPARSR_REGISTERS == 32
constexpr int shared_rows(int) { return 2; }
constexpr int shared_vectors(int shared) { return shared == 4 ? 3 : 6; }
#else
constexpr int shared_rows(int shared) { return shared == 4 ? 1 : 2; }
constexpr int shared_vectors(int) { return 3; }
#endif
template <int V>
constexpr int tile_rows = V == 1 ? sparse_rows : shared_rows(V);
template <int V>
constexpr int tile_vectors = V == 1 ? SPARSR_SPARSE_VECTORS : shared_vectors(V);
template <int V>
constexpr bool fits = tile_rows<V> * tile_vectors<V> <= sparse_sums;
static_assert(fits<1> && fits<2> && fits<4>);

template <int V, int S>
void all_rows(const SparseConv& conv) {
    using Widths = std::make_integer_sequence<int, tile_vectors<V>>;
    int row = 0;
    for (; row + tile_rows<V> <= conv.rows; row += tile_rows<V>) tiles_row<V, tile_rows<V>, S>(conv, row, Widths());
    if (row < conv.rows) tiles_row<V, 1, S>(conv, row, Widths());
}

template <int V>
void any_stride(const SparseConv& conv) {
    conv.stride == 2 ? all_rows<V, 2>(conv) : all_rows<V, 1>(conv);
}

}  // namespace

void sparse_conv(const SparseConv& conv) {
    if (conv.shared == 4) return any_stride<4>(conv);
    if (conv.shared == 2) return any_stride<2>(conv);
    any_stride<1>(conv);
}

}  // namespace sparsr::SPARSR_ISA
