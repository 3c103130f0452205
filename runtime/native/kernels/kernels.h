// What every instruction set provides. Plain structures and pointers only: these functions are compiled once per
// instruction set, and a shared inline function would let one set's code leak into another's.
#pragma once

#include "kernels/kernel_set.h"
#include "kernels/real.h"

namespace sparsr::SPARSR_REAL {

// Weights of V outputs that read the same place: where, in bytes from the first column of a row's first channel, and their
// values.
template <int V>
struct Tap {
    int32_t offset;
    Real weights[V];
};
static_assert(sizeof(Tap<1>) == sizeof(ZeroTap));

// Where results go: output o, row r, vector j at rows[r * block + phases[o]] + offsets[o] + j * step; before that the residual
// at residual[r] + residuals[o] + j * lanes is added, and negative values are multiplied by the output's slope.
struct Store {
    Real* const* rows;
    int block;            // rows of the output that one of the convolution becomes
    const int32_t* phases;
    const ptrdiff_t* offsets;
    ptrdiff_t step;
    const Real* const* residual;  // or null
    const ptrdiff_t* residuals;
    const float* slopes;  // of every output
};

// A row of inputs, and how far behind it the one lies that the next output row reads in its place; rows lie anywhere.
struct InRow {
    const Real* first;
    ptrdiff_t next;
};

// Rows of a convolution, weight by weight, of groups of `shared` outputs that read the same places; the last group may have
// fewer outputs. Row k of the kernel at output row r reads in[r * stride + k]. Group g of channel block b has for it the taps
// starts[(b * groups + g) * kernel + k] <= i < starts[(b * groups + g) * kernel + k + 1].
struct SparseConv {
    const InRow* in;
    int kernel;        // rows of it
    int stride;        // 1 or 2 vectors from the inputs of an output vector to those of the next one
    int rows, vectors, outputs, blocks;
    int shared, groups;  // shared: 1, 2 or 4
    const void* taps;    // Tap<shared>
    const int32_t* starts;
    const float* bias;  // of whole groups
    Real* sums;         // groups * shared * sparse_sums vectors
    Store store;
    int far_inputs;       // channels to fetch ahead, where the input is too large to have stayed in the cache; else 0
    ptrdiff_t in_channel;
};

// The same with all outputs sharing the taps' places: weight of tap t and output o at
// weights[(o / dense_outputs * taps + t) * dense_outputs + o % dense_outputs], zeros up to a full group. Row k of the kernel
// has the taps starts[k] <= t < starts[k + 1].
struct DenseConv {
    const InRow* in;
    int kernel;
    int stride;
    int rows, vectors, outputs;
    const int32_t* offsets;
    const int32_t* starts;
    const Real* weights;
    const float* bias;
    Store store;
};

enum { sparse_sums = 24, dense_outputs = 4, sum_width = 16 };

// Winograd's minimal filtering: two rows of tiles of 8 x `points` inputs or the upper one, every lane a tile of its own.
struct WinogradConv {
    int side;        // of a filter: 3 or 5
    int points;      // 8 or 6; a tile has 9 - side rows of points + 1 - side results
    const InRow* in;  // the rows that the kernel reads at the first row, and so on
    ptrdiff_t in_channel;
    int rows;            // 1..2 * (9 - side) to be stored
    int vectors;         // of a line, at least a tile's
    int first, columns;  // tiles of a row lie side by side from vector `first` on; what would go beyond the line ends with it
    int inputs, outputs;
    const float* weights;  // of every block of outputs [8 * points][outputs / group, rounded up][inputs][group]
    const float* bias;
    float* transformed;  // of every block of inputs 8 * points * winograd_plane vectors
    float* products;     // of one block
    Store store;
};

// Channels of a block, tiles at once; group = Kernels::winograd_group.
enum { winograd_block = 24, winograd_tiles = 3, winograd_plane = winograd_block * winograd_tiles | 1 };

// Masked convolutions. A pixel's channels lie side by side, `pixel` floats from one pixel to the next.

// Of a tile, products of a channel of it, tiles at once.
enum { masked_side = 6, masked_planes = (masked_side + 2) * (masked_side + 2), masked_block = 24 };

// The rows of a row of tiles, at their first pixels: those read, from one above the tiles on, and those written.
struct TileRows {
    const float* in[masked_side + 2];
    float* out[masked_side];
};

// A tile of pixels: its rows, and floats from there to its first column. Bit masked_side * y + x of `whole`: all of that
// pixel's results are stored, of `part`: those `keep` holds a 1 for; the rest is set to 0.
struct MaskedTile {
    const TileRows* rows;
    ptrdiff_t column;
    uint64_t whole, part;
};

// 3x3 convolutions of single tiles by Winograd F(6x6, 3x3), then ReLU.
struct MaskedTiles {
    const MaskedTile* tiles;
    int count;
    int pixel;
    int inputs, vectors;  // channels read, vectors of channels written
    const float* weights;  // [masked_planes][inputs][vectors], row and plane as far apart as stated
    ptrdiff_t weight_row, weight_plane;
    const float* keep;     // of every channel written: 0 or 1
    float* transformed;    // masked_floats(inputs)
    float* products;       // masked_floats(channels written)
};

// Sums of products over some channels of some sources: out[pixel] = bias + sum over sources of weights * in[pixel].
struct PixelSource {
    const float* in;
    int inputs;
    const float* weights;  // [inputs][vectors], weight_row floats apart
};
struct PixelPlace {
    ptrdiff_t in, out;
};
struct PixelProducts {
    const PixelSource* sources;
    int source_count;
    const PixelPlace* pixels;
    int count;
    int vectors;
    ptrdiff_t weight_row;
    const float* bias;  // whole vectors
    float slope;        // factor of negative results, 0..1
    float* out;
};

// out = gain (x - mean) / sqrt(variance + epsilon) + shift, mean and variance those of all channels at the same place.
struct ChannelNorm {
    const Real* in;
    ptrdiff_t in_channel;
    Real* out;
    ptrdiff_t out_channel;
    int channels, vectors;
    const float *gain, *shift;  // of every channel
    float epsilon;
};

// Winograd and masks are left to float: null in sets of half precision.
struct Kernels : KernelSet {
    void (*sparse_conv)(const SparseConv&);
    void (*dense_conv)(const DenseConv&);
    void (*winograd_conv)(const WinogradConv&);
    void (*masked_tiles)(const MaskedTiles&);
    void (*pixel_products)(const PixelProducts&);
    // A row of lines as a row of pixels, and back.
    void (*to_pixels)(const float* in, ptrdiff_t in_channel, int vectors, int width, int channels, int pixel, float* out);
    void (*to_lines)(const float* in, int pixel, int vectors, int width, int channels, ptrdiff_t out_channel, float* out);
    // Fills the vectors left and right of `channels` lines; needs left, right <= vectors.
    void (*fill_sides)(Real* line, int channels, ptrdiff_t stride, int vectors, int left, int right);
    void (*affine)(const Real* x, int n, float factor, float offset, Real* out);
    void (*add)(const Real* x, const Real* y, int n, Real* out);
    void (*scaled_add)(const Real* x, int n, float factor, const Real* y, Real* out);
    // out[j] += the sum over i of x[i] * rows[i * width + j]; width is a multiple of sum_width.
    void (*weighted_sum)(const float* x, int count, const float* rows, int width, float* out);
    void (*mul)(const Real* x, const Real* y, int n, Real* out);
    // Means of 2 x 2 values: `vectors` of them from two lines of twice as many.
    void (*halve)(const Real* upper, const Real* lower, int vectors, Real* out);
    void (*maximum)(const Real* x, const Real* y, int n, Real* out);
    // Between x and y, and between single values of x.
    void (*mix)(const Real* x, const Real* y, int n, float share, Real* out);
    void (*interpolate)(const Real* x, const int32_t* low, const int32_t* high, const float* share, int n, Real* out);
    void (*to_bytes)(const Real* x, int n, float factor, uint8_t* out);  // rounded, halves up, and clipped
    double (*sum)(const Real* x, int n);
    // A row of lines, every place of them brought to mean 0 and variance 1 over the channels.
    void (*channel_norm)(const ChannelNorm&);
    void (*leaky)(const Real* x, int n, float slope, Real* out);
    void (*sigmoid)(const Real* x, int n, Real* out);
    void (*silu)(const Real* x, int n, Real* out);              // x * sigmoid(x)
    void (*gelu)(const Real* x, int n, Real* out);              // x times the normal distribution function
    void (*gelu_tanh)(const Real* x, int n, Real* out);         // its approximation by a hyperbolic tangent
    void (*mish)(const Real* x, int n, Real* out);              // x * tanh(log(1 + e^x))
    void (*hardswish)(const Real* x, int n, Real* out);         // x * clip(x / 6 + 1 / 2, 0, 1)
    void (*tanh)(const Real* x, int n, Real* out);
    void (*clip)(const Real* x, int n, float low, float high, Real* out);
    void (*gate)(const Real* x, const Real* y, int n, Real* out);  // x * sigmoid(y)
};

}  // namespace sparsr::SPARSR_REAL
