#include "graph/compose.h"

#include <algorithm>

#include "ops/conv/winograd.h"
#include "ops/depth_to_space.h"
#include "ops/slice.h"

namespace sparsr {

namespace {

// A result's pixel reads the pixels of the first input at most this far around its own, however many convolutions are
// joined: every depth-to-space halves the reach of what follows it, or more.
constexpr int reach = 2, side = 2 * reach + 1;
// Joining multiplies every pair of weights that meet, and keeps a weight of every result for every channel and place: time
// and memory that a model file must not choose.
constexpr double most_pairs = 2e8, most_outputs = 1024;

bool is_plain(const Layer& layer, int kernel) {
    const int margin = kernel / 2;
    return layer.kind == Kind::conv && layer.kernel_h == kernel && layer.kernel_w == kernel && layer.stride == 1 &&
           layer.groups == 1 && layer.top == margin && layer.left == margin && layer.bottom == margin &&
           layer.right == margin && !layer.early && layer.activation.function == Function::none;
}

int block_of(const Layer& layer) { return layer.as<DepthToSpace>().block; }

bool is_joined(const Layer& layer) { return !layer.borders.empty(); }

// Where one of the second convolution's rows (or columns) reads: which of the first one's around it, and which of the rows
// that depth-to-space makes of that.
struct Source {
    int row, phase;
};
Source source(int phase, int tap, int margin, int block) {
    const int place = phase + tap - margin + block;
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

// What a convolution computes everywhere, or is corrected by at a border.
struct Part {
    int row, column;  // as of a Border
    const std::vector<Weight>& weights;
    const std::vector<size_t>& first;
    const std::vector<float>& bias;
};

// Joins two convolutions with depth-to-space of `block` between them. The second may be joined itself, and has then phases,
// `inner` in each direction, and corrections.
//
// At a border of the image the second convolution reads zeros, not what the first would compute there from the pixels at the
// border; and has corrections of its own in those rows (or columns) of a pixel that lie at the border. What is to be added
// there follows for rows and columns alike: what is read outside is taken away, the corrections that apply are added as far as
// they read inside, and in the corners both is done for what the other did too much.
class Composer {
public:
    Composer(const Layer& first, const Layer& second, int block, int inner, int channels)
        : first_(first), second_(second), block_(block), inner_(inner), channels_(channels),
          outputs_(second.outputs * block * block) {
        parts_.push_back({0, 0, second.weights, second.first, second.bias});
        for (const Border& border : second.borders)
            parts_.push_back({border.row, border.column, border.weights, border.first, border.bias});
    }

    Layer compose() const {
        Layer layer{};
        layer.kind = Kind::conv;
        layer.name = first_.name + "+" + second_.name;
        layer.inputs = first_.inputs;
        layer.outputs = outputs_;
        layer.kernel_h = layer.kernel_w = side;
        layer.top = layer.left = layer.bottom = layer.right = reach;
        layer.phases = block_ * block_ * inner_ * inner_;
        layer.kernels = first_.kernels.empty() ? second_.kernels : first_.kernels;
        sum(0, 0).store(layer.weights, layer.first, layer.bias);
        for (int row = -1; row <= 1; ++row)
            for (int column = -1; column <= 1; ++column) {
                if (!row && !column) continue;
                Border border{row, column, {}, {}, {}};
                sum(row, column).store(border.weights, border.first, border.bias);
                layer.borders.push_back(std::move(border));
            }
        return layer;
    }

private:
    // One direction of a part at a border, 0 standing for everywhere.
    struct Direction {
        int border, part, block;

        bool matters() const { return part == 0 || part == border; }
        // Correcting what is computed everywhere takes away what that reads outside.
        bool takes() const { return border && !part; }
        bool applies(int phase) const { return !border || phase == (border < 0 ? 0 : block - 1); }
        bool has(Source from, int phase) const {
            const bool outside = border && from.row == border;
            return takes() ? outside : !outside && applies(phase);
        }
        bool has_bias(int phase) const { return part == border && applies(phase); }
        bool sees(int row) const { return row * border <= 0; }  // there are only zeros outside
    };

    Sums sum(int row, int column) const {
        Sums sums(outputs_, channels_);
        for (const Part& part : parts_) {
            const Direction down{row, part.row, block_}, right{column, part.column, block_};
            if (down.matters() && right.matters()) add(sums, part, down, right);
        }
        return sums;
    }

    void add(Sums& sums, const Part& part, Direction down, Direction right) const {
        const double sign = down.takes() != right.takes() ? -1 : 1;
        const int margin = second_.kernel_h / 2;
        for (int o = 0; o < second_.outputs; ++o)
            for (int phase = 0; phase < block_ * block_; ++phase) {
                const int y = phase / block_, x = phase % block_, output = place(o, y, x);
                if (down.has_bias(y) && right.has_bias(x)) sums.bias(output) += double(part.bias[size_t(o)]);
                for (size_t i = part.first[size_t(o)]; i < part.first[size_t(o) + 1]; ++i) {
                    const Weight& weight = part.weights[i];
                    const Source row = source(y, weight.row, margin, block_), column = source(x, weight.column, margin, block_);
                    if (down.has(row, y) && right.has(column, x))
                        add(sums, output, sign * double(weight.value), weight.channel, row, column, down, right);
                }
            }
    }

    // Which of the results' channels: depth-to-space makes the finest rows of those of the second convolution's phases.
    int place(int output, int y, int x) const {
        const int all = block_ * inner_, phase = output % (inner_ * inner_);
        return output / (inner_ * inner_) * all * all + (y * inner_ + phase / inner_) * all + x * inner_ + phase % inner_;
    }

    // What one weight of the second convolution reads from one channel of the first.
    void add(Sums& sums, int output, double factor, int channel, Source y, Source x, Direction down, Direction right) const {
        const auto from = size_t((channel * block_ + y.phase) * block_ + x.phase);
        sums.bias(output) += factor * double(first_.bias[from]);
        for (size_t i = first_.first[from]; i < first_.first[from + 1]; ++i) {
            const Weight& weight = first_.weights[i];
            const int row = y.row + weight.row - 1, column = x.row + weight.column - 1;
            if (down.sees(row) && right.sees(column))
                sums.weight(output, row + reach, column + reach, weight.channel) += factor * double(weight.value);
        }
    }

    const Layer &first_, &second_;
    int block_, inner_, channels_, outputs_;
    std::vector<Part> parts_;
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

    // From the end on, so that what is joined can be joined again.
    void run() {
        for (size_t i = program_.layers.size(); i-- > 0;) {
            if (!is_plain(program_.layers[i], 3) || readers_[i + 1] != 1) continue;
            const size_t middle = reader_[i + 1];
            const Layer& between = program_.layers[middle];
            if (between.kind != Kind::depth_to_space || block_of(between) < 2 || readers_[middle + 1] != 1) continue;
            const size_t last = reader_[middle + 1];
            const Layer& second = program_.layers[last];
            if ((is_plain(second, 3) || is_joined(second)) && pays(i, middle, last)) join(i, middle, last);
        }
    }

private:
    int inputs(size_t layer) const { return program_.channels[size_t(program_.layers[layer].inputs[0])]; }

    // By the products of whichever kernel needs fewer.
    bool pays(size_t first, size_t middle, size_t last) const {
        const Layer &one = program_.layers[first], &two = program_.layers[last];
        const int block = block_of(program_.layers[middle]);
        const auto products = [](int kernel, double outputs, double channels, double weights) {
            return std::min(weights, winograd_products(kernel) * outputs * channels);
        };
        const double pixels = block * block;
        const double joined = winograd_products(side) * two.outputs * pixels * inputs(first);
        const double before = products(3, one.outputs, inputs(first), double(one.weights.size())) +
                              pixels * products(two.kernel_h, two.outputs, inputs(last), double(two.weights.size()));
        const double pairs = double(two.weights.size()) * pixels * inputs(first) * 9;
        return joined < before && pairs < most_pairs && two.outputs * pixels <= most_outputs;
    }

    // Depth-to-space in the middle then makes what a joined second convolution's own one made too.
    void join(size_t first, size_t middle, size_t last) {
        const size_t end = is_joined(program_.layers[last]) ? reader_[last + 1] : last;
        Layer& between = program_.layers[middle];
        const int block = block_of(between);
        const int inner = end == last ? 1 : block_of(program_.layers[end]);
        Composer composer(program_.layers[first], program_.layers[last], block, inner, inputs(first));
        program_.layers[first] = composer.compose();
        auto wider = std::make_shared<DepthToSpace>();
        wider->block = block * inner;
        between.options = wider;
        program_.channels[first + 1] = program_.layers[first].outputs;
        const int channels = program_.layers[first].outputs / (wider->block * wider->block);
        program_.channels[middle + 1] = channels;
        pass_on(last, channels);
        if (end != last) pass_on(end, channels);
    }

    // Makes a layer return what it gets.
    void pass_on(size_t index, int channels) {
        Layer same{};
        same.kind = Kind::slice;
        same.name = program_.layers[index].name;
        same.inputs = program_.layers[index].inputs;
        auto all = std::make_shared<Slice>();
        all->stop = channels;
        same.options = std::move(all);
        program_.layers[index] = std::move(same);
        program_.channels[index + 1] = channels;
    }

    Program& program_;
    std::vector<int> readers_;    // of every tensor
    std::vector<size_t> reader_;  // the last of them
};

}  // namespace

void compose(Program& program) { Search(program).run(); }

}  // namespace sparsr
