// Resizing to another map's size: bilinear, with half-pixel centres or the corners of both at one place, or nearest.
#include <algorithm>

#include "error.h"
#include "ops/operator.h"
#include "ops/plain.h"

namespace sparsr::SPARSR_REAL {

namespace {

enum class Mode { linear, corners, nearest };

struct Resize : Options {
    Mode mode = Mode::linear;
};

// The two input values between which an output value lies, and how far from the first to the second.
struct Between {
    Between(int i, int input_size, int output_size, Mode mode) {
        if (mode == Mode::nearest) {
            low = high = int(int64_t(i) * input_size / output_size);
            share = 0;
            return;
        }
        const double centre = mode == Mode::corners ? double(i) * (input_size - 1) / std::max(output_size - 1, 1)
                                                    : std::clamp((i + 0.5) * input_size / output_size - 0.5, 0.0, double(input_size - 1));
        low = std::clamp(int(centre), 0, std::max(input_size - 2, 0));
        high = std::min(low + 1, input_size - 1);
        share = float(centre - low);
    }
    int low, high;
    float share;
};

int read(Layer& layer, const Entry& entry) {
    auto options = std::make_shared<Resize>();
    if (entry.has("mode")) {
        const std::string& mode = entry.text("mode");
        require(mode == "corners" || mode == "nearest", "the mode " + mode + " of resizing is not known");
        options->mode = mode == "nearest" ? Mode::nearest : Mode::corners;
    }
    layer.options = std::move(options);
    return entry.channels()[0];
}

Mode mode_of(const Op& op) { return op.layer->as<Resize>().mode; }

Size size(const Layer&, const std::vector<Size>& inputs) { return inputs[1]; }

RowRange rows(const Op& op, size_t input, const ResultRows& asked) {
    if (input == 1) return {asked.input_height, 0};  // only its size matters
    return {Between(asked.first, asked.input_height, asked.output_height, mode_of(op)).low,
            Between(asked.last - 1, asked.input_height, asked.output_height, mode_of(op)).high + 1};
}

int vectors_of_second(const Op&, const std::vector<int>& inputs) { return inputs[1]; }

class PlainResize : public PlainValues {
public:
    using PlainValues::PlainValues;

private:
    float value(int c, int y, int x) const override {
        const Between rows(y, in().height(), out().height(), mode_of(op_)), columns(x, in().width(), out().width(), mode_of(op_));
        return mix(mix(at(in(), c, rows.low, columns.low), at(in(), c, rows.low, columns.high), columns),
                   mix(at(in(), c, rows.high, columns.low), at(in(), c, rows.high, columns.high), columns), rows);
    }

    static float mix(float a, float b, const Between& between) { return a * (1 - between.share) + b * between.share; }
};

// Keeps the two input rows in use as they are once their columns are interpolated.
class ResizeWork : public Work {
public:
    ResizeWork(const Op& op, Operands operands, const Kernels& kernels)
        : mode_(mode_of(op)), in_(operands.inputs[0]), out_(operands.output), kernels_(kernels), n_(out_.vectors() * kernels.lanes) {
        low_.assign(size_t(n_), 0);
        high_.assign(size_t(n_), 0);
        share_.assign(size_t(n_), 0);
        for (int x = 0; x < out_.width(); ++x) {
            const Between between(x, in_.width(), out_.width(), mode_);
            const auto place = size_t(out_.buffer->columns[size_t(x)]);
            low_[place] = in_.buffer->columns[size_t(between.low)];
            high_[place] = in_.buffer->columns[size_t(between.high)];
            share_[place] = between.share;
        }
        for (Mapping& wide : wide_) wide = Mapping(size_t(out_.channels) * size_t(n_) * sizeof(Real));
    }

    void run(int first, int last, float*) override {
        if (first == 0) number_[0] = number_[1] = -1;  // another image
        for (int y = first; y < last; ++y) {
            const Between rows(y, in_.height(), out_.height(), mode_);
            const Real *upper = widened(rows.low), *lower = widened(rows.high);
            for (int c = 0; c < out_.channels; ++c)
                kernels_.mix(upper + c * n_, lower + c * n_, n_, rows.share, out_.row<Real>(y) + size_t(c) * out_.stride());
        }
    }

private:
    const Real* widened(int y) {
        Real* wide = wide_[y % 2].data<Real>();
        if (number_[y % 2] != y)
            for (int c = 0; c < in_.channels; ++c)
                kernels_.interpolate(in_.row<Real>(y) + size_t(c) * in_.stride(), low_.data(), high_.data(), share_.data(), n_,
                                     wide + c * n_);
        number_[y % 2] = y;
        return wide;
    }

    Mode mode_;
    View in_, out_;
    const Kernels& kernels_;
    int n_;
    std::vector<int32_t> low_, high_;  // where the neighbours of every place of an output line lie
    std::vector<float> share_;
    Mapping wide_[2];  // of even and odd rows
    int number_[2] = {-1, -1};
};

std::vector<Choice> choices(const Op&, const Surroundings& around) {
    if (around.kernels.lanes == 1) return {Choice{}};
    return {Choice{Choice::Kernel::resampling, 1, {}}};
}

std::unique_ptr<Work> make(const Op& op, const Choice& choice, Operands operands, const KernelSet& kernels) {
    if (choice.kernel == Choice::Kernel::plain) return std::make_unique<PlainResize>(op, std::move(operands));
    return std::make_unique<ResizeWork>(op, std::move(operands), typed(kernels));
}

}  // namespace

Operator resize_operator();
Operator resize_operator() {
    return {"ResizeLike", 2, 2, read, make, size, rows, vectors_of_second, choices};
}

}  // namespace sparsr::SPARSR_REAL
