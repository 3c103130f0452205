// Small programs of convolutions, and what they compute by definition.
#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "model/program.h"

namespace sparsr::testing {

// [channels][height][width]
struct Picture {
    int channels, height, width;
    std::vector<double> values;

    Picture(int c, int h, int w) : channels(c), height(h), width(w), values(size_t(c) * size_t(h) * size_t(w)) {}
    double& at(int c, int y, int x) { return values[(size_t(c) * size_t(height) + size_t(y)) * size_t(width) + size_t(x)]; }
    // Zero outside.
    double see(int c, int y, int x) const {
        if (y < 0 || x < 0 || y >= height || x >= width) return 0;
        return values[(size_t(c) * size_t(height) + size_t(y)) * size_t(width) + size_t(x)];
    }
};

struct Shape {
    int outputs, side = 3, stride = 1;
    double kept = 1;  // share of the weights that are not zero
    int shared = 1;   // consecutive outputs that read the same places
};

class Chain {
public:
    explicit Chain(int channels) {
        program_.input_channels = channels;
        program_.scale = program_.minimum_size = 1;
        program_.value_range = 1;
        program_.channels = {channels};
    }

    Chain& conv(Shape shape, bool relu = false) {
        Layer layer;
        layer.kind = Kind::conv;
        layer.name = "conv" + std::to_string(program_.layers.size());
        layer.inputs = {program_.output};
        layer.stride = shape.stride;
        layer.outputs = shape.outputs;
        layer.shared = shape.shared;
        layer.kernel_h = layer.kernel_w = shape.side;
        layer.top = layer.left = layer.bottom = layer.right = shape.side / 2;
        if (relu) layer.activation = {Function::leaky, {0}};
        for (int o = 0; o < shape.outputs; ++o) {
            if (o % shape.shared == 0) draw_places(shape, program_.channels.back());
            layer.first.push_back(layer.weights.size());
            for (const Weight& place : places_) {
                layer.weights.push_back(place);
                layer.weights.back().value = float(normal_(random_));
            }
            layer.bias.push_back(float(normal_(random_)));
        }
        layer.first.push_back(layer.weights.size());
        return append(std::move(layer), shape.outputs);
    }

    // The sum with the tensor of so many layers before.
    Chain& add(int before) {
        Layer layer;
        layer.kind = Kind::add;
        layer.name = "add" + std::to_string(program_.layers.size());
        layer.inputs = {program_.output, program_.output - before};
        return append(std::move(layer), program_.channels.back());
    }

    // The last convolution again, its bias another.
    Chain& again() {
        Layer layer = program_.layers.back();
        layer.name += "again";
        layer.inputs = {program_.output};
        for (float& value : layer.bias) value = float(normal_(random_));
        const int outputs = layer.outputs;
        return append(std::move(layer), outputs);
    }

    const Program& program() const { return program_; }

private:
    void draw_places(const Shape& shape, int channels) {
        places_.clear();
        for (int row = 0; row < shape.side; ++row)
            for (int c = 0; c < channels; ++c)
                for (int column = 0; column < shape.side; ++column)
                    if (uniform_(random_) < shape.kept) places_.push_back({uint16_t(c), uint8_t(row), uint8_t(column), 0});
    }

    Chain& append(Layer layer, int channels) {
        program_.layers.push_back(std::move(layer));
        program_.channels.push_back(channels);
        program_.output = int(program_.layers.size());
        return *this;
    }

    Program program_;
    std::vector<Weight> places_;
    std::mt19937 random_{7};
    std::normal_distribution<> normal_{0, 0.1};
    std::uniform_real_distribution<> uniform_;
};

inline Picture noise(int channels, int height, int width) {
    std::mt19937 random(3);
    std::uniform_real_distribution<> uniform;
    Picture picture(channels, height, width);
    for (double& value : picture.values) value = double(float(uniform(random)));
    return picture;
}

inline Picture convolve(const Layer& layer, const Picture& in) {
    const auto side = [&](int length, int before, int after, int kernel) { return (length + before + after - kernel) / layer.stride + 1; };
    Picture out(layer.outputs, side(in.height, layer.top, layer.bottom, layer.kernel_h),
                side(in.width, layer.left, layer.right, layer.kernel_w));
    for (int o = 0; o < layer.outputs; ++o)
        for (int y = 0; y < out.height; ++y)
            for (int x = 0; x < out.width; ++x) {
                double sum = layer.bias[size_t(o)];
                for (size_t i = layer.first[size_t(o)]; i < layer.first[size_t(o) + 1]; ++i) {
                    const Weight& weight = layer.weights[i];
                    sum += weight.value * in.see(weight.channel, y * layer.stride - layer.top + weight.row,
                                                 x * layer.stride - layer.left + weight.column);
                }
                out.at(o, y, x) = sum < 0 && !layer.activation.none() ? layer.activation.slope(size_t(o)) * sum : sum;
            }
    return out;
}

inline Picture compute(const Program& program, const Picture& image) {
    std::vector<Picture> tensors{image};
    for (const Layer& layer : program.layers) {
        const Picture& first = tensors[size_t(layer.inputs[0])];
        if (layer.kind == Kind::conv) {
            tensors.push_back(convolve(layer, first));
            continue;
        }
        Picture sum = first;
        for (size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += tensors[size_t(layer.inputs[1])].values[i];
        tensors.push_back(std::move(sum));
    }
    return tensors.back();
}

}  // namespace sparsr::testing
