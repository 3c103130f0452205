#include "cost/shapes.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <tuple>

#include "error.h"
#include "ops/conv/conv.h"

namespace sparsr {

namespace {

constexpr int most_channels = 4096, widest = 1 << 16, largest_side = 15;

void check(const ConvShape& shape) {
    require(std::min(shape.inputs, shape.outputs) >= 1 && std::max(shape.inputs, shape.outputs) <= most_channels,
            "a convolution has 1 to " + std::to_string(most_channels) + " channels");
    require(shape.side >= 1 && shape.side <= largest_side && shape.side % 2 == 1,
            "a convolution's side is an odd number to " + std::to_string(largest_side));
    require(shape.m >= 1 && shape.m <= 256 && shape.n >= 0 && shape.n <= shape.m, "n of m is not 0 <= n <= m <= 256");
    require(shape.shared == 1 || shape.shared == 2 || shape.shared == 4, "places are shared by 1, 2 or 4 outputs");
    require(shape.stride == 1 || shape.stride == 2, "a convolution's stride is 1 or 2");
    require(shape.width >= 1 && shape.width <= widest, "the width is out of range");
}

// Weights of one output, in the order in which files' are read.
std::vector<Weight> random_places(const ConvShape& shape, std::mt19937& random) {
    std::vector<int> channels(size_t(shape.inputs));
    std::vector<Weight> places;
    for (int tap = 0; tap < shape.side * shape.side; ++tap) {
        std::iota(channels.begin(), channels.end(), 0);
        for (int begin = 0; begin < shape.inputs; begin += shape.m) {
            const auto group = channels.begin() + begin;
            const int size = std::min(shape.m, shape.inputs - begin), kept = std::min(shape.n, size);
            std::shuffle(group, group + size, random);
            for (int i = 0; i < kept; ++i)
                places.push_back({uint16_t(group[i]), uint8_t(tap / shape.side), uint8_t(tap % shape.side), 0.5f});
        }
    }
    const auto place = [](const Weight& weight) { return std::tuple(weight.row, weight.channel, weight.column); };
    std::sort(places.begin(), places.end(), [&](const Weight& a, const Weight& b) { return place(a) < place(b); });
    return places;
}

}  // namespace

Layer make_layer(const ConvShape& shape) {
    Layer layer{};
    layer.kind = Kind::conv;
    layer.outputs = shape.outputs;
    layer.stride = shape.stride;
    layer.kernel_h = layer.kernel_w = shape.side;
    layer.top = layer.left = layer.bottom = layer.right = shape.side / 2;
    layer.bias.assign(size_t(shape.outputs), 0);
    layer.shared = shape.shared;
    std::mt19937 random(0);  // the same weights every time
    std::vector<Weight> places;  // of an output's weights
    for (int output = 0; output < shape.outputs; ++output) {
        layer.first.push_back(layer.weights.size());
        if (output % shape.shared == 0) places = random_places(shape, random);
        layer.weights.insert(layer.weights.end(), places.begin(), places.end());
    }
    layer.first.push_back(layer.weights.size());
    return layer;
}

std::vector<Choice> choices_alone(const Op& op, int channels, int vectors, const KernelSet& kernels) {
    Buffer input;
    input.channels = channels;
    input.real_bytes = kernels.real_bytes;
    input.lanes = kernels.lanes;
    input.vectors = vectors;
    return conv_choices(op, channels, input);
}

Cost conv_cost(const ConvShape& shape, const char* kernel, const KernelSet& kernels, bool measure) {
    check(shape);
    const Layer layer = make_layer(shape);
    Op op;
    op.kind = Kind::conv;
    op.layer = &layer;
    const int vectors = (shape.width + kernels.lanes - 1) / kernels.lanes;
    std::vector<Choice> choices = choices_alone(op, shape.inputs, vectors * shape.stride, kernels);
    if (kernel) {
        const Choice::Kernel wanted = find_kernel(kernel);
        const auto other = [wanted](const Choice& choice) { return choice.kernel != wanted; };
        choices.erase(std::remove_if(choices.begin(), choices.end(), other), choices.end());
    }
    require(!choices.empty() && kernels.lanes > 1, std::string("no such convolution runs on ") + (kernel ? kernel : kernels.name));
    Costs costs(kernels, measure);
    const Cost cost = costs.cheapest(op, choices, shape.inputs, vectors).second;
    costs.save();
    return cost;
}

}  // namespace sparsr
