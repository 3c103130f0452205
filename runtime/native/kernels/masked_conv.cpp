// Convolutions of single tiles and pixels, the channels of a pixel lying side by side: a vector holds channels.
#include "simd.h"
#include "winograd.h"

namespace sparsr::SPARSR_ISA {

namespace {

constexpr int tile_side = 4, spread = 6, planes = spread * spread;
// Rows of a product at once, and the vectors of each: as many sums as there are registers for.
constexpr int product_rows = 6, product_vectors = SPARSR_REGISTERS == 32 ? 4 : 2;

// Lines between two of the 36 planes: odd, so that a tile's 36 places do not fall into one set of the cache.
SPARSR_INLINE ptrdiff_t plane(int tiles, int vectors) { return ((static_cast<ptrdiff_t>(tiles) * vectors) | 1) * lanes; }

SPARSR_INLINE int vectors_of(int channels) { return (channels + lanes - 1) / lanes; }

void transform_inputs(const MaskedTiles& work, int first, int tiles) {
    const int vectors = vectors_of(work.inputs);
    const ptrdiff_t distance = plane(tiles, vectors);
    for (int tile = 0; tile < tiles; ++tile)
        for (int v = 0; v < vectors; ++v) {
            const float* in = work.tiles[first + tile].in + v * lanes;
            float* to = work.transformed + (static_cast<ptrdiff_t>(tile) * vectors + v) * lanes;
            Vector x[planes];
#pragma GCC unroll 6
            for (int column = 0; column < spread; ++column) {
#pragma GCC unroll 6
                for (int row = 0; row < spread; ++row)
                    x[row * spread + column] = load(in + row * work.in_row + column * work.pixel);
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

// out[r][n] = sum over k of in[r][k] * weights[k][n] for M rows and N vectors.
template <int M, int N>
SPARSR_INLINE void multiply(const float* in, ptrdiff_t in_row, int inputs, const float* weights, ptrdiff_t weight_row,
                            float* out, ptrdiff_t out_row) {
    Vector sum[M][N] = {};
    for (int k = 0; k < inputs; ++k, weights += weight_row) {
        Vector weight[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) weight[n] = load(weights + n * lanes);
#pragma GCC unroll 6
        for (int m = 0; m < M; ++m) {
            const Vector x = broadcast(in[m * in_row + k]);
#pragma GCC unroll 4
            for (int n = 0; n < N; ++n) sum[m][n] += x * weight[n];
        }
    }
#pragma GCC unroll 6
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) save(out + m * out_row + n * lanes, sum[m][n]);
}

using Product = void (*)(const float*, ptrdiff_t, int, const float*, ptrdiff_t, float*, ptrdiff_t);

template <int M, int N>
void product(const float* in, ptrdiff_t in_row, int inputs, const float* weights, ptrdiff_t weight_row, float* out,
             ptrdiff_t out_row) {
    multiply<M, N>(in, in_row, inputs, weights, weight_row, out, out_row);
}

#define SPARSR_PRODUCTS(n) \
    { product<1, n>, product<2, n>, product<3, n>, product<4, n>, product<5, n>, product<6, n> }
constexpr Product products[4][product_rows] = {SPARSR_PRODUCTS(1), SPARSR_PRODUCTS(2), SPARSR_PRODUCTS(3),
                                               SPARSR_PRODUCTS(4)};

// All products of one plane.
void multiply_plane(const MaskedTiles& work, int tiles, const float* weights, const float* in, float* out) {
    const ptrdiff_t in_row = vectors_of(work.inputs) * lanes, out_row = work.vectors * lanes;
    for (int n = 0; n < work.vectors; n += product_vectors) {
        const int width = work.vectors - n < product_vectors ? work.vectors - n : product_vectors;
        for (int t = 0; t < tiles; t += product_rows) {
            const int height = tiles - t < product_rows ? tiles - t : product_rows;
            products[width - 1][height - 1](in + t * in_row, in_row, work.inputs, weights + n * lanes, work.weight_row,
                                            out + t * out_row + n * lanes, out_row);
        }
    }
}

SPARSR_INLINE Vector positive(Vector x) { return x > 0 ? x : Vector{}; }

void transform_outputs(const MaskedTiles& work, int first, int tiles) {
    const ptrdiff_t distance = plane(tiles, work.vectors);
    for (int i = 0; i < tiles; ++i)
        for (int v = 0; v < work.vectors; ++v) {
            const MaskedTile& tile = work.tiles[first + i];
            const float* from = work.products + (static_cast<ptrdiff_t>(i) * work.vectors + v) * lanes;
            const Vector keep = load(work.keep + v * lanes);
            Vector x[planes];
#pragma GCC unroll 6
            for (int column = 0; column < spread; ++column) {
#pragma GCC unroll 6
                for (int row = 0; row < spread; ++row)
                    x[row * spread + column] = load(from + (row * spread + column) * distance);
                transform_output(x + column, spread);
            }
            uint32_t whole = tile.whole, part = tile.part;
#pragma GCC unroll 4
            for (int row = 0; row < tile_side; ++row) {
                transform_output(x + row * spread, 1);
                float* out = tile.out + row * work.out_row + v * lanes;
#pragma GCC unroll 4
                for (int column = 0; column < tile_side; ++column, whole >>= 1, part >>= 1, out += work.pixel) {
                    const Vector value = positive(x[row * spread + column]);
                    if (whole & 1)
                        save(out, value);
                    else if (part & 1)
                        save(out, value * keep);
                }
            }
        }
}

}  // namespace

void masked_tiles(const MaskedTiles& work) {
    for (int first = 0; first < work.count; first += masked_block) {
        const int tiles = work.count - first < masked_block ? work.count - first : masked_block;
        transform_inputs(work, first, tiles);
        for (int i = 0; i < planes; ++i)
            multiply_plane(work, tiles, work.weights + i * work.weight_plane,
                           work.transformed + i * plane(tiles, vectors_of(work.inputs)),
                           work.products + i * plane(tiles, work.vectors));
        transform_outputs(work, first, tiles);
    }
}

namespace {

template <int M, int N>
void gather(const PixelProducts& work, int first, int vector) {
    Vector sum[M][N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
        const Vector bias = load(work.bias + (vector + n) * lanes);
#pragma GCC unroll 6
        for (int m = 0; m < M; ++m) sum[m][n] = bias;
    }
    for (int s = 0; s < work.source_count; ++s) {
        const PixelSource& source = work.sources[s];
        const float* weights = source.weights + vector * lanes;
        const float* in[M];
#pragma GCC unroll 6
        for (int m = 0; m < M; ++m) in[m] = source.in + work.pixels[first + m].in;
        for (int k = 0; k < source.inputs; ++k, weights += work.weight_row) {
            Vector weight[N];
#pragma GCC unroll 4
            for (int n = 0; n < N; ++n) weight[n] = load(weights + n * lanes);
#pragma GCC unroll 6
            for (int m = 0; m < M; ++m) {
                const Vector x = broadcast(in[m][k]);
#pragma GCC unroll 4
                for (int n = 0; n < N; ++n) sum[m][n] += x * weight[n];
            }
        }
    }
    const Vector slope = broadcast(work.slope);
#pragma GCC unroll 6
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n)
            save(work.out + work.pixels[first + m].out + (vector + n) * lanes, leaky(sum[m][n], slope));
}

using Gather = void (*)(const PixelProducts&, int, int);
#define SPARSR_GATHERS(n) \
    { gather<1, n>, gather<2, n>, gather<3, n>, gather<4, n>, gather<5, n>, gather<6, n> }
constexpr Gather gathers[4][product_rows] = {SPARSR_GATHERS(1), SPARSR_GATHERS(2), SPARSR_GATHERS(3), SPARSR_GATHERS(4)};

}  // namespace

void pixel_products(const PixelProducts& work) {
    for (int n = 0; n < work.vectors; n += product_vectors) {
        const int width = work.vectors - n < product_vectors ? work.vectors - n : product_vectors;
        for (int first = 0; first < work.count; first += product_rows) {
            const int height = work.count - first < product_rows ? work.count - first : product_rows;
            gathers[width - 1][height - 1](work, first, n);
        }
    }
}

}  // namespace sparsr::SPARSR_ISA
