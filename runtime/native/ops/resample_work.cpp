// Maxima over windows, and bilinear resizing, a line (one channel of one row) at a time: first across rows, where lines lie
// side by side.
#include <algorithm>

#include "ops/works.h"

namespace sparsr::SPARSR_REAL {

namespace {

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

    // Across rows as the columns lie, then across columns in their order.
    void run_line(int c, int y, Real* tall) const {
        const int top = y * layer_.stride, windows = in().width() - layer_.kernel + 1;
        std::copy_n(line(c, top), n_, tall);
        for (int row = 1; row < layer_.kernel; ++row) kernels_.maximum(tall, line(c, top + row), n_, tall);
        Real* ordered = tall + n_;
        for (int x = 0; x < in().width(); ++x) ordered[x] = tall[in().buffer->columns[size_t(x)]];
        std::copy_n(ordered, windows, tall);
        for (int column = 1; column < layer_.kernel; ++column) kernels_.maximum(tall, ordered + column, windows, tall);
        Real* to = out().row<Real>(y) + size_t(c) * out().stride();
        for (int x = 0; x < out().width(); ++x) to[out().buffer->columns[size_t(x)]] = tall[x * layer_.stride];
    }

    const Layer& layer_;
    Operands operands_;
    const Kernels& kernels_;
    int n_;
};

// Keeps the two input rows in use as they are once their columns are interpolated.
class ResizeWork : public Work {
public:
    ResizeWork(Operands operands, const Kernels& kernels)
        : in_(operands.inputs[0]), out_(operands.output), kernels_(kernels), n_(out_.vectors() * kernels.lanes) {
        low_.assign(size_t(n_), 0);
        high_.assign(size_t(n_), 0);
        share_.assign(size_t(n_), 0);
        for (int x = 0; x < out_.width(); ++x) {
            const Between between(x, in_.width(), out_.width());
            const auto place = size_t(out_.buffer->columns[size_t(x)]);
            low_[place] = in_.buffer->columns[size_t(between.low)];
            high_[place] = in_.buffer->columns[size_t(between.high)];
            share_[place] = between.share;
        }
        for (Mapping& wide : wide_) wide = Mapping(size_t(out_.channels) * size_t(n_) * sizeof(Real), false);
    }

    void run(int first, int last, float*) override {
        if (first == 0) number_[0] = number_[1] = -1;  // another image
        for (int y = first; y < last; ++y) {
            const Between rows(y, in_.height(), out_.height());
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
                kernels_.interpolate(in_.row<Real>(y) + size_t(c) * in_.stride(), low_.data(), high_.data(), share_.data(), n_, wide + c * n_);
        number_[y % 2] = y;
        return wide;
    }

    View in_, out_;
    const Kernels& kernels_;
    int n_;
    std::vector<int32_t> low_, high_;  // where the neighbours of every place of an output line lie
    std::vector<float> share_;
    Mapping wide_[2];  // of even and odd rows
    int number_[2] = {-1, -1};
};

}  // namespace

std::unique_ptr<Work> make_resampling_work(const Op& op, Operands operands, const Kernels& kernels) {
    if (op.layer->kind == Kind::resize) return std::make_unique<ResizeWork>(std::move(operands), kernels);
    return std::make_unique<MaxPoolWork>(op, std::move(operands), kernels);
}

}  // namespace sparsr::SPARSR_REAL
