#include "compose.h"

#include <algorithm>
#include <array>

namespace sparsr {

namespace {

// A result's pixel reads the pixels of the first input at most this far around its own.
constexpr int reach = 2, side = 2 * reach + 1;
// Joining multiplies every pair of weights that meet: a time that a model file must not choose.
constexpr double most_pairs = 1e9;
// Beyond this share of weights that are not zero the first convolution would run on Winograd's kernel, with a quarter of
// the products.
constexpr double winograd_share = 0.25;

bool is_plain_3x3(const Layer& layer) {
    return layer.kind == Kind::conv && layer.kernel_h == 3 && layer.kernel_w == 3 && layer.stride == 1 && layer.groups == 1 &&
           layer.top == 1 && layer.left == 1 && layer.bottom == 1 && layer.right == 1 && !layer.early &&
           layer.activation.function == Activation::Function::none;
}

// Where one of the second convolution's rows (or columns) reads: which of the first one's around it, and which of the rows
// that depth-to-space makes of that.
struct Source {
    int row, phase;
};
Source source(int phase, int tap, int block) {
    const int place = phase + tap - 1 + block;
    return {place / block - 1, place % block};
}

// Weights by output, row, column and channel, with a bias.
class Sums {
public:
    Sums(int outputs, int channels)
        : channels_(channels), weights_(size_t(outputs) * side * side * size_t(channels)), bias_(size_t(outputs)) {}

    double& weight(int output, int row, int column, int channel) {
        return weights_[((size_t(output) * side + size_t(row)) * side + size_t(column)) * size_t(channels_) + size_t(channel)];
    }
    double& bias(int output) { return bias_[size_t(output)]; }

    void store(std::vector<Weight>& weights, std::vector<size_t>& first, std::vector<float>& bias) {
        for (int output = 0; output < int(bias_.size()); ++output) {
            first.push_back(weights.size());
            for (int row = 0; row < side; ++row)
                for (int channel = 0; channel < channels_; ++channel)
                    for (int column = 0; column < side; ++column)
                        if (const auto value = float(weight(output, row, column, channel)))
                            weights.push_back({uint16_t(channel), uint8_t(row), uint8_t(column), value});
            bias.push_back(float(this->bias(output)));
        }
        first.push_back(weights.size());
    }

private:
    int channels_;
    std::vector<double> weights_, bias_;
};

class Composer {
public:
    Composer(const Layer& first, const Layer& second, int block, int channels)
        : first_(first), second_(second), block_(block), channels_(channels), outputs_(second.outputs * block * block) {}

    Layer compose() {
        Layer layer{};
        layer.kind = Kind::conv;
        layer.name = first_.name + "+" + second_.name;
        layer.inputs = first_.inputs;
        layer.outputs = outputs_;
        layer.kernel_h = layer.kernel_w = side;
        layer.top = layer.left = layer.bottom = layer.right = reach;
        layer.phases = block_ * block_;
        Sums all(outputs_, channels_);
        for (int output = 0; output < outputs_; ++output) all.bias(output) = second_.bias[size_t(output / layer.phases)];
        add(all, 1, [](Source, Source) { return true; }, [](const Weight&) { return true; });
        all.store(layer.weights, layer.first, layer.bias);
        for (int row = -1; row <= 1; ++row)
            for (int column = -1; column <= 1; ++column)
                if (row || column) layer.borders.push_back(border(row, column));
        return layer;
    }

private:
    // Outside of the image the second convolution reads zeros, not what the first one would compute there from the pixels at
    // the border. In the corners, the rows above and the columns beside have both been taken away.
    Border border(int row, int column) const {
        Border border{row, column, {}, {}, {}};
        Sums sums(outputs_, channels_);
        const auto outside = [=](Source y, Source x) { return (!row || y.row == row) && (!column || x.row == column); };
        const auto inside = [=](const Weight& weight) {
            return (!row || weight.row == 1 - row) && (!column || weight.column == 1 - column);
        };
        add(sums, row && column ? 1 : -1, outside, inside);
        sums.store(border.weights, border.first, border.bias);
        return border;
    }

    template <class Places, class Taps>
    void add(Sums& sums, double sign, Places places, Taps taps) const {
        for (int o = 0; o < second_.outputs; ++o)
            for (size_t i = second_.first[size_t(o)]; i < second_.first[size_t(o) + 1]; ++i)
                for (int phase = 0; phase < block_ * block_; ++phase) {
                    const Weight& last = second_.weights[i];
                    const Source y = source(phase / block_, last.row, block_), x = source(phase % block_, last.column, block_);
                    const int output = o * block_ * block_ + phase;
                    if (places(y, x)) add(sums, output, sign * double(last.value), last.channel, y, x, taps);
                }
    }

    // What one weight of the second convolution reads from one channel of the first.
    template <class Taps>
    void add(Sums& sums, int output, double factor, int channel, Source y, Source x, Taps taps) const {
        const auto from = size_t((channel * block_ + y.phase) * block_ + x.phase);
        sums.bias(output) += factor * double(first_.bias[from]);
        for (size_t i = first_.first[from]; i < first_.first[from + 1]; ++i) {
            const Weight& weight = first_.weights[i];
            if (taps(weight))
                sums.weight(output, y.row + weight.row - 1 + reach, x.row + weight.column - 1 + reach, weight.channel) +=
                    factor * double(weight.value);
        }
    }

    const Layer &first_, &second_;
    int block_, channels_, outputs_;
};

class Search {
public:
    explicit Search(Program& program) : program_(program), readers_(program.channels.size()), reader_(program.channels.size()) {
        for (size_t i = 0; i < program.layers.size(); ++i)
            for (int input : program.layers[i].inputs) {
                ++readers_[size_t(input)];
                reader_[size_t(input)] = i;
            }
        ++readers_[size_t(program.output)];
    }

    void run() {
        for (size_t i = 0; i < program_.layers.size(); ++i) {
            if (!is_plain_3x3(program_.layers[i]) || readers_[i + 1] != 1) continue;
            const size_t middle = reader_[i + 1];
            if (program_.layers[middle].kind != Kind::depth_to_space || readers_[middle + 1] != 1) continue;
            const size_t last = reader_[middle + 1];
            if (is_plain_3x3(program_.layers[last]) && pays(i, middle, last)) join(i, middle, last);
        }
    }

private:
    int inputs(size_t layer) const { return program_.channels[size_t(program_.layers[layer].inputs[0])]; }

    bool pays(size_t first, size_t middle, size_t last) const {
        const Layer &one = program_.layers[first], &two = program_.layers[last];
        const int block = program_.layers[middle].block;
        // Rows (and columns) of a window: all phases together read 2 + block of the first's rows, and each 3 from those.
        const double windows = double(block + 2 + 2 * block) * double(block + 2 + 2 * block);
        const double joined = double(two.outputs) * inputs(first) * windows;
        const double all = double(one.outputs) * inputs(first) * 9;
        const double before = std::min(double(one.weights.size()), winograd_share * all) +
                              double(two.weights.size()) * block * block;
        const double pairs = double(two.weights.size()) * block * block * inputs(first) * 9;
        return joined < before && pairs < most_pairs;
    }

    void join(size_t first, size_t middle, size_t last) {
        Layer& one = program_.layers[first];
        Layer& two = program_.layers[last];
        one = Composer(one, two, program_.layers[middle].block, inputs(first)).compose();
        program_.channels[first + 1] = one.outputs;
        program_.channels[middle + 1] = two.outputs;
        Layer same{};
        same.kind = Kind::slice;
        same.name = two.name;
        same.inputs = two.inputs;
        same.stop = two.outputs;
        two = std::move(same);
    }

    Program& program_;
    std::vector<int> readers_;    // of every tensor
    std::vector<size_t> reader_;  // the last of them
};

}  // namespace

void compose(Program& program) { Search(program).run(); }

}  // namespace sparsr
