// Programs: what a network computes, layer by layer, as read from a model file. No sizes, no memory, no kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/safetensors.h"

namespace sparsr {

enum class Kind {
#define OPERATOR(name) name,
#include "ops/operators.def"
#undef OPERATOR
};

enum class Function {
#define FUNCTION(name, text) name,
#include "ops/functions.def"
#undef FUNCTION
};

struct Activation {
    Function function = Function::none;
    // Of leaky: the factors of negative values, one for all channels or one for each; any numbers. ReLU's is 0.
    std::vector<float> slopes = {1};
    float low = 0, high = 0;  // of clip

    bool none() const { return function == Function::none; }
    float slope(size_t channel) const { return slopes[slopes.size() > 1 ? channel : 0]; }
};

// One weight that is not zero.
struct Weight {
    uint16_t channel;  // among all input channels
    uint8_t row, column;
    float value;
};

// What a convolution's results at a border of the image have to be corrected by: another convolution of the same shape.
struct Border {
    int row, column;  // -1: the first row or column only, 1: the last, 0: all
    std::vector<Weight> weights;
    std::vector<size_t> first;
    std::vector<float> bias;
};

// What an operator reads of its layers beyond what all layers have, in a structure of its own.
struct Options {
    virtual ~Options() = default;
};

// The meaning of every kind is that of `export/ir`.
struct Layer {
    Kind kind;
    std::string name;
    std::vector<int> inputs;  // tensors: 0 is the image, i + 1 what layer i writes
    Activation activation;
    bool early = false;       // computed once its inputs are there, which then need not be kept
    std::vector<std::string> kernels;  // that round little enough for the network, by name; none: all do
    int stride = 1;           // rows and columns of the first input from one of the result to the next
    std::shared_ptr<const Options> options;

    // conv
    int outputs = 0, kernel_h = 1, kernel_w = 1, groups = 1;
    int top = 0, left = 0, bottom = 0, right = 0;
    std::vector<Weight> weights;  // sorted by output, row, channel, column: as they lie in memory
    std::vector<size_t> first;    // of each output in `weights`, and the end
    std::vector<float> bias;
    int phases = 1;               // outputs as far apart as this read the same places, others not
    std::vector<Border> borders;
    int shared = 1;               // so many consecutive outputs each, the last ones maybe fewer, read the same places: 1, 2 or 4

    template <class T>
    const T& as() const {
        return static_cast<const T&>(*options);
    }
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
// A program whose every number has been checked; throws Error. `load_program` reads a model file in memory, `read_program`
// the program's text and its tensors in the order of its list `tensors`.
Program load_program(const void* data, size_t size);
Program read_program(std::string_view text, const std::vector<StoredTensor>& tensors);

}  // namespace sparsr
