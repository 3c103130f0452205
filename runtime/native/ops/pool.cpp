// Maxima and means over windows inside the map.
#include <algorithm>
#include <limits>

#include "error.h"
#include "ops/lines.h"
#include "ops/make.h"
#include "ops/plain.h"

namespace sparsr::SPARSR_REAL {

namespace {

struct Pool : Options {
    int kernel = 1;  // a window's side
};

int read(Layer& layer, const Entry& entry) {
    auto options = std::make_shared<Pool>();
    options->kernel = entry.integer("kernel", 1, max_kernel);
    layer.stride = entry.integer("stride", 1, max_stride);
    layer.options = std::move(options);
    return entry.channels()[0];
}

Size size(const Layer& layer, const std::vector<Size>& inputs) {
    const int kernel = layer.as<Pool>().kernel;
    require(std::min(inputs[0].height, inputs[0].width) >= kernel, "the image is too small for the layer " + layer.name);
    return {(inputs[0].height - kernel) / layer.stride + 1, (inputs[0].width - kernel) / layer.stride + 1};
}

RowRange rows(const Op& op, size_t, const ResultRows& asked) {
    const int stride = op.layer->stride;
    return {asked.first * stride, (asked.last - 1) * stride + op.layer->as<Pool>().kernel};
}

class PlainPool : public PlainValues {
public:
    using PlainValues::PlainValues;

private:
    float value(int c, int y, int x) const override {
        const int kernel = layer_.as<Pool>().kernel;
        float best = -std::numeric_limits<float>::infinity(), sum = 0;
        for (int dy = 0; dy < kernel; ++dy)
            for (int dx = 0; dx < kernel; ++dx) {
                const float seen = at(in(), c, y * layer_.stride + dy, x * layer_.stride + dx);
                best = std::max(best, seen);
                sum += seen;
            }
        return layer_.kind == Kind::max_pool ? best : sum / float(kernel * kernel);
    }
};

// Means of 2 x 2 values where two vectors become one.
class HalveWork : public LineWork {
public:
    using LineWork::LineWork;

private:
    void compute(int c, int y, Real* out) override {
        kernels_.halve(own_line(0, c, 2 * y), own_line(0, c, 2 * y + 1), operands_.output.vectors(), out);
    }
};

// A line at a time: first across rows as the columns lie, then across columns in their order.
class MaxPoolWork : public Work {
public:
    MaxPoolWork(const Op& op, Operands operands, const Kernels& kernels)
        : layer_(*op.layer), operands_(std::move(operands)), kernels_(kernels), n_(in().vectors() * kernels.lanes) {}

    size_t scratch() const override { return 2 * size_t(n_); }

    void run(int first, int last, float* scratch) override {
        for (int y = first; y < last; ++y)
            for (int c = 0; c < out().channels; ++c) run_line(c, y, reinterpret_cast<Real*>(scratch));
    }

private:
    const View& in() const { return operands_.inputs[0]; }
    const View& out() const { return operands_.output; }
    const Real* line(int c, int y) const { return in().row<Real>(y) + size_t(c) * in().stride(); }

    void run_line(int c, int y, Real* tall) const {
        const int kernel = layer_.as<Pool>().kernel, top = y * layer_.stride, windows = in().width() - kernel + 1;
        std::copy_n(line(c, top), n_, tall);
        for (int row = 1; row < kernel; ++row) kernels_.maximum(tall, line(c, top + row), n_, tall);
        Real* ordered = tall + n_;
        for (int x = 0; x < in().width(); ++x) ordered[x] = tall[in().buffer->columns[size_t(x)]];
        std::copy_n(ordered, windows, tall);
        for (int column = 1; column < kernel; ++column) kernels_.maximum(tall, ordered + column, windows, tall);
        Real* to = out().row<Real>(y) + size_t(c) * out().stride();
        for (int x = 0; x < out().width(); ++x) to[out().buffer->columns[size_t(x)]] = tall[x * layer_.stride];
    }

    const Layer& layer_;
    Operands operands_;
    const Kernels& kernels_;
    int n_;
};

std::vector<Choice> max_choices(const Op&, const Surroundings& around) {
    if (around.kernels.lanes == 1) return {Choice{}};
    return {Choice{Choice::Kernel::resampling, 1, {}}};
}

std::vector<Choice> mean_choices(const Op& op, const Surroundings& around) {
    const bool halves = around.inputs[0]->vectors == 2 * around.output->vectors && op.layer->as<Pool>().kernel == 2 &&
                        op.layer->stride == 2;
    return {Choice{halves ? Choice::Kernel::lines : Choice::Kernel::plain, 1, {}}};
}

std::unique_ptr<Work> make(const Op& op, const Choice& choice, Operands operands, const KernelSet& kernels) {
    if (choice.kernel == Choice::Kernel::lines) return std::make_unique<HalveWork>(op, std::move(operands), kernels);
    if (choice.kernel == Choice::Kernel::resampling)
        return std::make_unique<MaxPoolWork>(op, std::move(operands), typed(kernels));
    return std::make_unique<PlainPool>(op, std::move(operands));
}

Operator pool(const char* name, decltype(Operator::choices) choices) {
    Operator row{name, 1, 1, read, make, size, rows};
    row.choices = choices;
    return row;
}

}  // namespace

Operator max_pool_operator();
Operator max_pool_operator() { return pool("MaxPool", max_choices); }

Operator avg_pool_operator();
Operator avg_pool_operator() { return pool("AvgPool", mean_choices); }

}  // namespace sparsr::SPARSR_REAL
