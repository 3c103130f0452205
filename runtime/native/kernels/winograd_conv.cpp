// Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016).
// A tile is 4 rows of 4 neighbouring vectors; every lane is a tile of its own, so the transforms need no shuffles.
#include "simd.h"
#include "winograd.h"

namespace sparsr::SPARSR_ISA {

namespace {

constexpr int group = SPARSR_REGISTERS == 32 ? 8 : 4;
constexpr int tile_side = 4, spread = 6, products = spread * spread;
// Outputs whose products are computed before they are transformed: few enough to stay in the second cache.
constexpr int chunk = winograd_chunk;
// Weights are fetched so many ahead: all of a layer's together leave the second cache between two rows of tiles.
constexpr int weights_ahead = 1024;

// Vectors between two of the 36 planes: odd, so that a tile's 36 places do not fall into one set of the cache.
SPARSR_INLINE ptrdiff_t plane(int channels, int tiles) { return (static_cast<ptrdiff_t>(channels) * tiles) | 1; }

void transform_inputs(const WinogradConv& conv, const int* starts, int tiles) {
    const ptrdiff_t distance = plane(conv.inputs, tiles) * lanes;
    for (int c = 0; c < conv.inputs; ++c)
        for (int tile = 0; tile < tiles; ++tile) {
            const float* in = conv.in + c * conv.in_channel + starts[tile] * lanes;
            float* to = conv.transformed + (static_cast<ptrdiff_t>(c) * tiles + tile) * lanes;
            Vector x[products];
#pragma GCC unroll 6
            for (int column = 0; column < spread; ++column) {
#pragma GCC unroll 6
                for (int row = 0; row < spread; ++row)
                    x[row * spread + column] = load(in + row * conv.in_row + column * lanes);
                transform_input(x + column, spread);
            }
#pragma GCC unroll 6
            for (int row = 0; row < spread; ++row) {
                transform_input(x + row * spread, 1);
#pragma GCC unroll 6
                for (int column = 0; column < spread; ++column)
                    save(to + (row * spread + column) * distance, x[row * spread + column]);
            }
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

// Rows of a tile from its 36 products; the products of `count` outputs from `first` on lie behind each other.
template <int Rows>
void transform_outputs(const WinogradConv& conv, const int* starts, int tiles, int first, int count) {
    const ptrdiff_t distance = plane(chunk, tiles) * lanes;
    const Store& store = conv.store;
    const Vector slope = broadcast(store.slope);
    for (int i = 0; i < count; ++i)
        for (int tile = 0; tile < tiles; ++tile) {
            const int output = first + i;
            const float* from = conv.products + (static_cast<ptrdiff_t>(i) * tiles + tile) * lanes;
            Vector x[tile_side * spread];
#pragma GCC unroll 6
            for (int column = 0; column < spread; ++column) {
                Vector y[spread];
#pragma GCC unroll 6
                for (int row = 0; row < spread; ++row) y[row] = load(from + (row * spread + column) * distance);
                transform_output(y, 1);
#pragma GCC unroll 4
                for (int row = 0; row < tile_side; ++row) x[row * spread + column] = y[row];
            }
            const Vector bias = broadcast(conv.bias[output]);
            float* out = store.out + store.offsets[output] + starts[tile] * store.step;
            const float* residual = store.residual;
            if (residual) residual += output * store.residual_channel + starts[tile] * lanes;
#pragma GCC unroll 4
            for (int row = 0; row < Rows; ++row) {
                transform_output(x + row * spread, 1);
#pragma GCC unroll 4
                for (int column = 0; column < tile_side; ++column) {
                    Vector value = x[row * spread + column] + bias;
                    if (residual) value += load(residual + row * store.residual_row + column * lanes);
                    save(out + row * store.row + column * store.step, leaky(value, slope));
                }
            }
        }
}

}  // namespace

void winograd_conv(const WinogradConv& conv) {
    using Multiply = void (*)(const WinogradConv&, int, const float*, const float*, float*);
    static constexpr Multiply multiplies[winograd_tiles] = {multiply<1>, multiply<2>, multiply<3>};
    using Transform = void (*)(const WinogradConv&, const int*, int, int, int);
    static constexpr Transform transforms[tile_side] = {transform_outputs<1>, transform_outputs<2>,
                                                        transform_outputs<3>, transform_outputs<4>};
    const int all = (conv.vectors + tile_side - 1) / tile_side, parts = (all + winograd_tiles - 1) / winograd_tiles;
    const ptrdiff_t plane_weights = static_cast<ptrdiff_t>(whole_groups(conv.outputs)) * conv.inputs;
    for (int part = 0; part < parts; ++part) {
        const int first = all * part / parts, tiles = all * (part + 1) / parts - first;
        int starts[winograd_tiles];
        // The last tile ends with the line and shares columns with the one before.
        for (int i = 0; i < tiles; ++i) {
            const int start = (first + i) * tile_side;
            starts[i] = start + tile_side > conv.vectors ? conv.vectors - tile_side : start;
        }
        transform_inputs(conv, starts, tiles);
        for (int output = 0; output < conv.outputs; output += chunk) {
            const int count = conv.outputs - output < chunk ? conv.outputs - output : chunk;
            for (int i = 0; i < products; ++i)
                multiplies[tiles - 1](conv, count, conv.weights + i * plane_weights + output * conv.inputs,
                                      conv.transformed + i * plane(conv.inputs, tiles) * lanes,
                                      conv.products + i * plane(chunk, tiles) * lanes);
            transforms[conv.rows - 1](conv, starts, tiles, output, count);
        }
    }
}

}  // namespace sparsr::SPARSR_ISA
