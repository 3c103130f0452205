// Winograd's minimal filtering F(6x6, 3x3), F(6x4, 3x3), F(4x4, 5x5) and F(4x2, 5x5) (Lavin & Gray, Fast Algorithms for
// Convolutional Neural Networks, CVPR 2016).
// A tile is a rectangle of neighbouring vectors; every lane is a tile of its own, so the transforms need no shuffles.
#include "kernels/simd.h"
#include "kernels/winograd.h"

namespace sparsr::SPARSR_ISA {

namespace {

// Outputs whose weights lie side by side, and how many are computed at once: as many as there are registers for their sums.
constexpr int group = SPARSR_REGISTERS == 32 ? 8 : 12;
constexpr int outputs_of(int tiles) { return SPARSR_REGISTERS == 32 ? group : group / tiles; }
// Weights are fetched so many ahead: all of a layer's together leave the second cache between two rows of tiles.
constexpr int weights_ahead = 1024;
// Vectors of a line of the cache.
constexpr int line = 64 / sizeof(Vector);
// Between two planes, of which there is one for every product of a tile: an odd number of vectors, so that a tile's places do
// not fall into one set of the cache, and known here, so that they need no arithmetic.
constexpr ptrdiff_t plane(int tiles) { return (winograd_block * tiles | 1) * lanes; }

// Visits so many vectors that lie `step` apart. The compiler would rather keep the places of all of a tile's values in memory
// than few registers to compute them from.
template <int Vectors, class T, class Visit>
SPARSR_INLINE void along(T* place, ptrdiff_t step, Visit visit) {
#pragma GCC unroll 6
    for (int i = 0; i < Vectors; ++i, place = opaque(place + step)) visit(i, place);
}

// The upper left result of a tile.
struct Place {
    int row, vector;
};

constexpr int points = 8, narrow = 6;  // rows that a tile reads, and columns of the narrower ones

// Tiles that read `Points` columns, for filters of Side x Side.
template <int Points, int Side>
struct Shape {
    static constexpr int Rows = points, Columns = Points, OutRows = Rows + 1 - Side, OutColumns = Columns + 1 - Side;
    static constexpr int products = Rows * Columns;

    // Tile i, those below each other first.
    static Place place(const WinogradConv& conv, int i) {
        const int rows = conv.rows > OutRows ? 2 : 1, vector = conv.first + i / rows * OutColumns;
        return {i % rows * OutRows, vector + OutColumns > conv.vectors ? conv.vectors - OutColumns : vector};
    }
};

// Where a tile's rows begin in channel 0.
struct TileRows {
    const float* at[points];
};

// Below the rows that stored results need the last one is repeated.
TileRows rows_of(const WinogradConv& conv, Place place) {
    const int last = conv.rows + conv.side - 2;
    TileRows rows;
    for (int i = 0; i < points; ++i)
        rows.at[i] = conv.in[place.row + i < last ? place.row + i : last].first + place.vector * lanes;
    return rows;
}

template <class Shape, int T>
void transform_tile(const WinogradConv& conv, const TileRows& tile, int channel, float* to) {
    const float* rows[Shape::Rows];
#pragma GCC unroll 8
    for (int row = 0; row < Shape::Rows; ++row) rows[row] = opaque(tile.at[row] + channel * conv.in_channel);
    if (channel + 1 < conv.inputs)
#pragma GCC unroll 8
        for (int row = 0; row < Shape::Rows; ++row)
#pragma GCC unroll 8
            for (int i = 0; i < Shape::Columns; i += line) SPARSR_PREFETCH(rows[row] + conv.in_channel + i * lanes);
    transform_inputs<Shape::Rows, Shape::Columns>(
        [&](int row, int column) { return load(rows[row] + column * lanes); },
        [=](int row, const Vector* x) {
#pragma GCC unroll 8
            for (int i = 0; i < Shape::Columns; ++i) save(to + (row * Shape::Columns + i) * plane(T), x[i]);
        });
}

template <class Shape, int T>
void transform_tiles(const WinogradConv& conv, const Place* places) {
    TileRows rows[T];
    for (int tile = 0; tile < T; ++tile) rows[tile] = rows_of(conv, places[tile]);
    for (int c = 0; c < conv.inputs; ++c) {
        float* to = conv.transformed + (c / winograd_block * Shape::products * plane(T) + c % winograd_block * T * lanes);
        for (int tile = 0; tile < T; ++tile, to += lanes) transform_tile<Shape, T>(conv, rows[tile], c, to);
    }
}

// One plane's product of weights [outputs / group][inputs][group] and inputs [inputs][T vectors]. Blocks of inputs are added up
// by themselves first: the smaller a sum, the less rounding takes away, and these sums are what rounds most here.
template <int T>
void multiply(const WinogradConv& conv, int outputs, const float* weights, const float* in, float* out) {
    constexpr int at_once = outputs_of(T);
    const ptrdiff_t planes = points * conv.points * plane(T);  // of a block
    for (int output = 0; output < outputs; output += at_once) {
        float* to = out + output * T * lanes;
        const float* w = weights + output / group * group * conv.inputs + output % group;
        const float* block = in;
        for (int first = 0; first < conv.inputs; first += winograd_block, block += planes) {
            const int count = conv.inputs - first < winograd_block ? conv.inputs - first : winograd_block;
            const float* x = block;
            Vector sum[at_once][T] = {};
            for (int c = 0; c < count; ++c, x += T * lanes, w += group) {
                SPARSR_PREFETCH(w + weights_ahead);
                Vector seen[T];
#pragma GCC unroll 4
                for (int t = 0; t < T; ++t) seen[t] = load(x + t * lanes);
#pragma GCC unroll 12
                for (int o = 0; o < at_once; ++o) {
                    const Vector weight = broadcast(w[o]);
#pragma GCC unroll 4
                    for (int t = 0; t < T; ++t) sum[o][t] += seen[t] * weight;
                }
            }
            if (first)
#pragma GCC unroll 36
                for (int i = 0; i < at_once * T; ++i) sum[i / T][i % T] += load(to + i * lanes);
#pragma GCC unroll 36
            for (int i = 0; i < at_once * T; ++i) save(to + i * lanes, sum[i / T][i % T]);
        }
    }
}

int whole_groups(int outputs) { return (outputs + group - 1) / group * group; }

// Tiles from their products; those of `count` outputs from `first` on lie behind each other.
template <class Shape, int T>
void transform_products(const WinogradConv& conv, const Place* places, int first, int count) {
    const Store store = conv.store;
    const float* from = conv.products;
    for (int output = first; output < first + count; ++output) {
        const Vector bias = broadcast(conv.bias[output]), slope = broadcast(store.slopes[output]);
        const bool active = store.slopes[output] != 1;
        for (int tile = 0; tile < T; ++tile, from += lanes) {
            const Place at = places[tile];
            const int rows = conv.rows - at.row < Shape::OutRows ? conv.rows - at.row : Shape::OutRows;
            if (output + 2 < conv.outputs)
                for (int row = 0; row < rows; ++row)
                    along<Shape::OutColumns>(place(store, output + 2, at.row + row, at.vector), store.step,
                                             [](int, const float* to) { SPARSR_PREFETCH(to); });
            const auto transform = [&](auto stored) {
                transform_outputs<Shape::Rows, Shape::Columns, Shape::OutRows, Shape::OutColumns>(
                    stored,
                    [=](int row, int column) {
                        const Vector x = load(from + (row * Shape::Columns + column) * plane(T));
                        return row == 1 && column == 1 ? x + bias : x;  // every result has this product once
                    },
                    [=](int row, Vector* x) {
                        if (store.residual) {
                            const float* add = opaque(residual(store, output, at.row + row, at.vector));
#pragma GCC unroll 6
                            for (int i = 0; i < Shape::OutColumns; ++i) x[i] += load(add + i * lanes);
                        }
                        if (active)
#pragma GCC unroll 6
                            for (int i = 0; i < Shape::OutColumns; ++i) x[i] = leaky(x[i], slope);
                        along<Shape::OutColumns>(place(store, output, at.row + row, at.vector), store.step,
                                                 [&](int i, float* to) { save(to, x[i]); });
                    });
            };
            if (rows == Shape::OutRows)
                transform(Constant<Shape::OutRows>());
            else
                transform(rows);
        }
    }
}

template <class Shape, int T>
void tiles(const WinogradConv& conv, const Place* places) {
    transform_tiles<Shape, T>(conv, places);
    const float* weights = conv.weights;
    for (int output = 0; output < conv.outputs; output += winograd_block) {
        const int outputs = conv.outputs - output < winograd_block ? conv.outputs - output : winograd_block;
        for (int i = 0; i < Shape::products; ++i, weights += whole_groups(outputs) * conv.inputs)
            multiply<T>(conv, outputs, weights, conv.transformed + i * plane(T), conv.products + i * plane(T));
        transform_products<Shape, T>(conv, places, output, outputs);
    }
}

// All tiles, as evenly as their number allows.
template <class Shape>
void all_tiles(const WinogradConv& conv) {
    using Tiles = void (*)(const WinogradConv&, const Place*);
    static constexpr Tiles tiles_of[winograd_tiles] = {tiles<Shape, 1>, tiles<Shape, 2>, tiles<Shape, 3>};
    const int all = conv.columns * (conv.rows > Shape::OutRows ? 2 : 1), parts = (all + winograd_tiles - 1) / winograd_tiles;
    for (int part = 0; part < parts; ++part) {
        const int first = all * part / parts, count = all * (part + 1) / parts - first;
        Place places[winograd_tiles];
        for (int i = 0; i < count; ++i) places[i] = Shape::place(conv, first + i);
        tiles_of[count - 1](conv, places);
    }
}

}  // namespace

void winograd_conv(const WinogradConv& conv) {
    const bool wide = conv.points == points;
    if (conv.side == 5)
        wide ? all_tiles<Shape<points, 5>>(conv) : all_tiles<Shape<narrow, 5>>(conv);
    else
        wide ? all_tiles<Shape<points, 3>>(conv) : all_tiles<Shape<narrow, 3>>(conv);
}

}  // namespace sparsr::SPARSR_ISA
