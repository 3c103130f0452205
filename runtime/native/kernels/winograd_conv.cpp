// Winograd's minimal filtering F(4x4, 3x3) and F(4x4, 5x5) (Lavin & Gray, Fast Algorithms for Convolutional Neural Networks,
// CVPR 2016).
// A tile is 4 rows of 4 neighbouring vectors; every lane is a tile of its own, so the transforms need no shuffles.
#include "simd.h"
#include "winograd.h"

namespace sparsr::SPARSR_ISA {

namespace {

constexpr int group = SPARSR_REGISTERS == 32 ? 8 : 4;
// Outputs whose products are computed before they are transformed: few enough to stay in the second cache.
constexpr int chunk = winograd_chunk;
// Weights are fetched so many ahead: all of a layer's together leave the second cache between two rows of tiles.
constexpr int weights_ahead = 1024;

// Vectors between two planes, of which there is one for every product of a tile: odd, so that a tile's places do not fall into one set of the cache.
constexpr ptrdiff_t plane(int channels, int tiles) { return (static_cast<ptrdiff_t>(channels) * tiles) | 1; }

// Begins to load four vectors of some rows.
SPARSR_INLINE void fetch(const float* from, ptrdiff_t row_distance, int rows, ptrdiff_t step) {
    for (int row = 0; row < rows; ++row)
#pragma GCC unroll 4
        for (int i = 0; i < tile_side; ++i) __builtin_prefetch(from + row * row_distance + i * step);
}

template <int N, int T>
void transform_tiles(const WinogradConv& conv, const int* starts) {
    const ptrdiff_t distance = plane(conv.inputs, T) * lanes, in_row = conv.in_row;
    float* to = conv.transformed;
    for (int c = 0; c < conv.inputs; ++c)
        for (int tile = 0; tile < T; ++tile, to += lanes) {
            const float* in = conv.in + c * conv.in_channel + starts[tile] * lanes;
            if (conv.far && c + 1 < conv.inputs) fetch(in + conv.in_channel + 2 * lanes, in_row, N, lanes);
            transform_inputs<N>([=](int row, int column) { return load(in + row * in_row + column * lanes); },
                                [=](int row, const Vector* x) {
#pragma GCC unroll 8
                                    for (int i = 0; i < N; ++i) save(to + (row * N + i) * distance, x[i]);
                                });
        }
}

// One plane's product of weights [outputs][inputs] and inputs [inputs][T vectors], a group of outputs at a time.
template <int T>
void multiply(const WinogradConv& conv, int outputs, const float* weights, const float* in, float* out) {
    for (int output = 0; output < outputs; output += group) {
        Vector sum[group][T] = {};
        const float* x = in;
        for (int c = 0; c < conv.inputs; ++c, x += T * lanes, weights += group) {
            __builtin_prefetch(weights + weights_ahead);
            Vector seen[T];
#pragma GCC unroll 4
            for (int t = 0; t < T; ++t) seen[t] = load(x + t * lanes);
#pragma GCC unroll 8
            for (int o = 0; o < group; ++o) {
                const Vector weight = broadcast(weights[o]);
#pragma GCC unroll 4
                for (int t = 0; t < T; ++t) sum[o][t] += seen[t] * weight;
            }
        }
#pragma GCC unroll 8
        for (int o = 0; o < group; ++o)
#pragma GCC unroll 4
            for (int t = 0; t < T; ++t) save(out + ((output + o) * T + t) * lanes, sum[o][t]);
    }
}

int whole_groups(int outputs) { return (outputs + group - 1) / group * group; }

// Rows of T tiles from their products; those of `count` outputs from `first` on lie behind each other.
template <int N, int T, int Rows>
void transform_products(const WinogradConv& conv, const int* starts, int first, int count) {
    constexpr ptrdiff_t distance = plane(chunk, T) * lanes;
    const Store store = conv.store;
    const Vector slope = broadcast(store.slope);
    const float* from = conv.products;
    for (int output = first; output < first + count; ++output) {
        const Vector bias = broadcast(conv.bias[output]);
        for (int tile = 0; tile < T; ++tile, from += lanes) {
            float* out = store.out + store.offsets[output] + starts[tile] * store.step;
            const float* residual = store.residual;
            if (residual) residual += output * store.residual_channel + starts[tile] * lanes;
            if (conv.far && output + 2 < conv.outputs)
                fetch(out + store.offsets[output + 2] - store.offsets[output], store.row, Rows, store.step);
            transform_outputs<N, Rows>([=](int row, int column) { return load(from + (row * N + column) * distance); },
                                       [=](int row, Vector* x) {
#pragma GCC unroll 4
                                        for (int i = 0; i < tile_side; ++i) {
                                            x[i] += bias;
                                            if (residual) x[i] += load(residual + row * store.residual_row + i * lanes);
                                            save(out + row * store.row + i * store.step, leaky(x[i], slope));
                                        }
                                    });
        }
    }
}

template <int N, int T>
void all_outputs(const WinogradConv& conv, const int* starts) {
    using Transform = void (*)(const WinogradConv&, const int*, int, int);
    static constexpr Transform transforms[] = {transform_products<N, T, 1>, transform_products<N, T, 2>,
                                               transform_products<N, T, 3>, transform_products<N, T, 4>};
    const ptrdiff_t plane_weights = static_cast<ptrdiff_t>(whole_groups(conv.outputs)) * conv.inputs;
    for (int output = 0; output < conv.outputs; output += chunk) {
        const int count = conv.outputs - output < chunk ? conv.outputs - output : chunk;
        for (int i = 0; i < N * N; ++i)
            multiply<T>(conv, count, conv.weights + i * plane_weights + output * conv.inputs,
                        conv.transformed + i * plane(conv.inputs, T) * lanes, conv.products + i * plane(chunk, T) * lanes);
        transforms[conv.rows - 1](conv, starts, output, count);
    }
}

template <int N, int T>
void tiles(const WinogradConv& conv, const int* starts) {
    transform_tiles<N, T>(conv, starts);
    all_outputs<N, T>(conv, starts);
}

}  // namespace

void winograd_conv(const WinogradConv& conv) {
    using Tiles = void (*)(const WinogradConv&, const int*);
    static constexpr Tiles tiles_of[][winograd_tiles] = {{tiles<6, 1>, tiles<6, 2>, tiles<6, 3>},
                                                         {tiles<8, 1>, tiles<8, 2>, tiles<8, 3>}};
    const int all = (conv.vectors + tile_side - 1) / tile_side, parts = (all + winograd_tiles - 1) / winograd_tiles;
    for (int part = 0; part < parts; ++part) {
        const int first = all * part / parts, count = all * (part + 1) / parts - first;
        int starts[winograd_tiles];
        // The last tile ends with the line and shares columns with the one before.
        for (int i = 0; i < count; ++i) {
            const int start = (first + i) * tile_side;
            starts[i] = start + tile_side > conv.vectors ? conv.vectors - tile_side : start;
        }
        tiles_of[conv.side == 5][count - 1](conv, starts);
    }
}

}  // namespace sparsr::SPARSR_ISA
