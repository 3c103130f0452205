// Masked blocks: convolutions that compute important pixels in full and of the others only the dense channels.
//
// Inside a block the dense channels come first, so that a dense part of inputs or outputs is the beginning of a pixel.
// A row of a mask holds a byte for every tile's columns, whose lowest bits say which of them are important.
#pragma once

#include <algorithm>

#include "ops/operator.h"
#include "ops/reals.h"

namespace sparsr {

// A convolution of a masked block. Its channels are in an order of its own, in which the dense ones come first.
struct MaskedPart {
    std::vector<int> order;  // what the network calls its channels
    int dense = 0;           // how many of the first are dense
    // [3 * 3][inputs][outputs], the inputs in the order of the part before; rows padded to `masked_row`: as kernels read
    // them, so that there is no other copy.
    Mapping weights;
};

struct Masked : Options {
    std::vector<MaskedPart> parts;
    Mapping fuse;             // [parts][inputs][outputs], padded and in the order of the parts
    std::vector<float> bias;  // of what joins the parts' results
};

constexpr int masked_row(int channels) { return (channels + 15) / 16 * 16; }  // whole vectors for all kernels
constexpr int mask_side = 6;  // of the tiles of pixels that a mask's bytes and the kernels see
constexpr int mask_points = mask_side + 2;

inline const std::vector<MaskedPart>& parts_of(const Op& op) { return op.layer->as<Masked>().parts; }
int read_masked(Layer& layer, const Entry& entry);
// Where and how a part of a masked block runs, whatever is around it.
Choice choose_masked(const Op& op);

#ifndef SPARSR_HALF
namespace f32 {

inline const uint8_t* mask_row(const View& mask, int y) { return reinterpret_cast<const uint8_t*>(mask.row(y)); }
inline int tiles_of(int width) { return (width + mask_side - 1) / mask_side; }
inline int vectors_of(int channels, int lanes) { return (channels + lanes - 1) / lanes; }
// Zeros, aligned for vectors.
inline Mapping zeros(size_t floats) { return Mapping(std::max(floats, size_t(1)) * sizeof(float)); }

std::unique_ptr<Work> make_mask(const Op& op, const Choice& choice, Operands operands, const KernelSet& kernels);
std::unique_ptr<Work> make_to_pixels(const Op& op, const Choice& choice, Operands operands, const KernelSet& kernels);
std::unique_ptr<Work> make_masked_conv(const Op& op, const Choice& choice, Operands operands, const KernelSet& kernels);
std::unique_ptr<Work> make_masked_fuse(const Op& op, const Choice& choice, Operands operands, const KernelSet& kernels);

}  // namespace f32
#endif

}  // namespace sparsr
