// Convolutions of single tiles and pixels, the channels of a pixel lying side by side: a vector holds channels.
#include "kernels/simd.h"
#include "kernels/winograd.h"

namespace sparsr::SPARSR_ISA {

namespace {

// Rows of a product at once, and the vectors of each: as many sums as there are registers for.
constexpr int product_rows = 6, product_vectors = SPARSR_REGISTERS == 32 ? 4 : 2;

constexpr int side = masked_side, spread = side + 2;

// Lines between two of the planes: odd, so that a tile's places do not fall into one set of the cache.
SPARSR_INLINE ptrdiff_t plane(int tiles, int vectors) { return ((static_cast<ptrdiff_t>(tiles) * vectors) | 1) * lanes; }

SPARSR_INLINE int vectors_of(int channels) { return (channels + lanes - 1) / lanes; }

void transform_tiles(const MaskedTiles& work, int first, int tiles) {
    const int vectors = vectors_of(work.inputs);
    const ptrdiff_t distance = plane(tiles, vectors), pixel = work.pixel;
    float* to = work.transformed;
    for (int tile = 0; tile < tiles; ++tile)
        for (int v = 0; v < vectors; ++v, to += lanes) {
            const MaskedTile& from = work.tiles[first + tile];
            const TileRows& rows = *from.rows;
            const ptrdiff_t place = from.column - pixel + v * lanes;
            transform_inputs<spread, spread>([&](int row, int column) { return load(rows.in[row] + place + column * pixel); },
                                     [=](int row, const Vector* x) {
#pragma GCC unroll 8
                                         for (int i = 0; i < spread; ++i) save(to + (row * spread + i) * distance, x[i]);
                                     });
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
constexpr Product kernels[4][product_rows] = {SPARSR_PRODUCTS(1), SPARSR_PRODUCTS(2), SPARSR_PRODUCTS(3),
                                               SPARSR_PRODUCTS(4)};

// All products of one plane.
void multiply_plane(const MaskedTiles& work, int tiles, const float* weights, const float* in, float* out) {
    const ptrdiff_t in_row = vectors_of(work.inputs) * lanes, out_row = work.vectors * lanes;
    for (int n = 0; n < work.vectors; n += product_vectors) {
        const int width = work.vectors - n < product_vectors ? work.vectors - n : product_vectors;
        for (int t = 0; t < tiles; t += product_rows) {
            const int height = tiles - t < product_rows ? tiles - t : product_rows;
            kernels[width - 1][height - 1](in + t * in_row, in_row, work.inputs, weights + n * lanes, work.weight_row,
                                            out + t * out_row + n * lanes, out_row);
        }
    }
}

SPARSR_INLINE Vector positive(Vector x) { return larger(x, Vector{}); }

void transform_products(const MaskedTiles& work, int first, int tiles) {
    const ptrdiff_t distance = plane(tiles, work.vectors), pixel = work.pixel;
    const float* from = work.products;
    for (int i = 0; i < tiles; ++i) {
        const MaskedTile tile = work.tiles[first + i];
        for (int v = 0; v < work.vectors; ++v, from += lanes) {
            const TileRows& rows = *tile.rows;
            const ptrdiff_t out = tile.column + v * lanes;
            const Vector keep = load(work.keep + v * lanes);
            transform_outputs<spread, spread, side, side>(
                Constant<side>(), [=](int row, int column) { return load(from + (row * spread + column) * distance); },
                [&](int row, const Vector* x) {
#pragma GCC unroll 6
                    for (int column = 0; column < side; ++column) {
                        const uint64_t place = uint64_t(1) << (row * side + column);
                        float* to = rows.out[row] + out + column * pixel;
                        if (tile.whole & place)
                            save(to, positive(x[column]));
                        else if (tile.part & place)
                            save(to, positive(x[column]) * keep);
                    }
                });
        }
    }
}

}  // namespace

void masked_tiles(const MaskedTiles& work) {
    // All blocks as large as each other, in whole rows of products: weights are read anew for each.
    const int blocks = (work.count + masked_block - 1) / masked_block;
    for (int block = 0, first = 0; block < blocks; ++block) {
        const int rest = (work.count - first + blocks - block - 1) / (blocks - block);
        const int whole = (rest + product_rows - 1) / product_rows * product_rows;
        const int tiles = work.count - first < whole ? work.count - first : whole;
        transform_tiles(work, first, tiles);
        for (int i = 0; i < masked_planes; ++i)
            multiply_plane(work, tiles, work.weights + i * work.weight_plane,
                           work.transformed + i * plane(tiles, vectors_of(work.inputs)),
                           work.products + i * plane(tiles, work.vectors));
        transform_products(work, first, tiles);
        first += tiles;
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
