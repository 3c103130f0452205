// Programs: what a network computes, layer by layer, as read from a model file. No sizes, no memory, no kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "run/buffer.h"
#include "model/safetensors.h"

namespace sparsr {

enum class Kind {
    conv, activation, affine, add, mul, concat, slice, mean, deviation, max_pool, avg_pool, resize, pad_edge, pad_to_even,
    crop, depth_to_space, masked
};

struct Activation {
    enum class Function { none, leaky, sigmoid };
    Function function = Function::none;
    float slope = 1;  // factor of negative values; 0 is ReLU
};

// One weight that is not zero.
struct Weight {
    uint16_t channel;  // among all input channels
    uint8_t row, column;
    float value;
};

// A convolution of a masked block. Its channels are in an order of its own, in which the dense ones come first.
struct MaskedPart {
    std::vector<int> order;  // what the network calls its channels
    int dense = 0;           // how many of the first are dense
    // [3 * 3][inputs][outputs], the inputs in the order of the part before; rows padded to `masked_row`: as kernels read
    // them, so that there is no other copy.
    Mapping weights;
};

constexpr int masked_row(int channels) { return (channels + 15) / 16 * 16; }  // whole vectors for all kernels

// What a convolution's results at a border of the image have to be corrected by: another convolution of the same shape.
struct Border {
    int row, column;  // -1: the first row or column only, 1: the last, 0: all
    std::vector<Weight> weights;
    std::vector<size_t> first;
    std::vector<float> bias;
};

// The meaning of every kind is that of `runtime/layers.py`.
struct Layer {
    Kind kind;
    std::string name;
    std::vector<int> inputs;  // tensors: 0 is the image, i + 1 what layer i writes
    Activation activation;
    bool early = false;       // computed once its inputs are there, which then need not be kept

    // conv
    int outputs = 0, kernel_h = 1, kernel_w = 1, stride = 1, groups = 1;
    int top = 0, left = 0, bottom = 0, right = 0;
    std::vector<Weight> weights;  // sorted by output, row, channel, column: as they lie in memory
    std::vector<size_t> first;    // of each output in `weights`, and the end
    std::vector<float> bias;      // conv, masked; offset of affine
    int phases = 1;               // conv: outputs as far apart as this read the same places, others not
    std::vector<Border> borders;  // conv

    std::vector<float> factor;    // affine
    int start = 0, stop = 0;      // slice
    int kernel = 0;               // max_pool, avg_pool, beside stride
    int amount = 0;               // pad_edge
    int block = 0;                // depth_to_space
    std::vector<MaskedPart> parts;  // masked
    Mapping fuse;                   // masked: [parts][inputs][outputs], padded and in the order of the parts
};

struct Program {
    int input_channels = 0, scale = 0, minimum_size = 0;
    float value_range = 0;
    int output = 0;              // tensor
    std::vector<Layer> layers;
    std::vector<int> channels;   // of every tensor
};

// Of a convolution of so many channels without sparsity. Where outputs read different places, these are all there is.
double dense_weights(const Layer& layer, int channels);
// Its name in model files.
const char* kind_name(Kind kind);
// A program whose every number has been checked; throws Error.
Program load_program(const void* data, size_t size);
// The same from the program's text and its tensors in the order of its list `tensors`.
Program read_program(std::string_view text, const std::vector<StoredTensor>& tensors);

}  // namespace sparsr
