// Maps brought to mean 0 and variance 1, every pixel over its channels or every channel over its pixels; then a factor and an
// offset per channel.
#include <cmath>

#include "error.h"
#include "ops/lines.h"
#include "ops/make.h"
#include "ops/moments.h"

namespace sparsr::SPARSR_REAL {

namespace {

struct Norm : Options {
    std::vector<float> gain, shift;  // of every channel
    float epsilon = 0;               // added to the variance
};

int read(Layer& layer, const Entry& entry) {
    const int channels = entry.channels()[0];
    auto options = std::make_shared<Norm>();
    options->gain = entry.floats("gain", size_t(channels));
    options->shift = entry.floats("shift", size_t(channels));
    options->epsilon = float(entry.number("epsilon"));
    require(options->epsilon > 0 && options->epsilon < 1e6f, "epsilon is out of range");
    layer.options = std::move(options);
    return channels;
}

class ChannelNormWork : public Work {
public:
    ChannelNormWork(const Op& op, Operands operands, const KernelSet& kernels)
        : op_(op), operands_(std::move(operands)), kernels_(typed(kernels)) {}

    void run(int first, int last, float*) override {
        const auto& norm = op_.layer->as<Norm>();
        const View &in = operands_.inputs[0], &out = operands_.output;
        for (int y = first; y < last; ++y) {
            kernels_.channel_norm({in.row<Real>(y), ptrdiff_t(in.stride()), out.row<Real>(y), ptrdiff_t(out.stride()),
                                   out.channels, out.vectors(), norm.gain.data(), norm.shift.data(), norm.epsilon});
            activate_row(op_.activation, out, y, kernels_);
        }
    }

private:
    const Op& op_;
    Operands operands_;
    const Kernels& kernels_;
};

class InstanceNormWork : public LineWork {
public:
    using LineWork::LineWork;

private:
    void compute(int c, int y, Real* out) override {
        if (c == 0 && y == 0) measure();
        // Not as one factor and offset: where values are large and hardly differ, those would cancel.
        kernels_.affine(line(0, c, y), n_, 1, -mean_[size_t(c)], out);
        kernels_.affine(out, n_, factor_[size_t(c)], op_.layer->as<Norm>().shift[size_t(c)], out);
    }

    void measure() {
        const auto& norm = op_.layer->as<Norm>();
        const std::vector<double> means = SPARSR_REAL::means(operands_.inputs[0], kernels_);
        const std::vector<double> variances = SPARSR_REAL::variances(operands_.inputs[0], means);
        factor_.clear();
        mean_.assign(means.begin(), means.end());
        for (size_t c = 0; c < means.size(); ++c)
            factor_.push_back(float(double(norm.gain[c]) / std::sqrt(variances[c] + double(norm.epsilon))));
    }

    std::vector<float> mean_, factor_;  // of every channel of this image
};

RowRange all_rows(const Op&, size_t, const ResultRows& asked) { return {0, asked.input_height}; }

}  // namespace

Operator channel_norm_operator();
Operator channel_norm_operator() {
    Operator row{"ChannelNorm", 1, 1, read, make_lines<ChannelNormWork>};
    row.choices = lines_choice;
    row.in_place = first_in_place;
    return row;
}

Operator instance_norm_operator();
Operator instance_norm_operator() {
    Operator row{"InstanceNorm", 1, 1, read, make_lines<InstanceNormWork>, size_of_first, all_rows};
    row.choices = lines_choice;
    return row;
}

}  // namespace sparsr::SPARSR_REAL
