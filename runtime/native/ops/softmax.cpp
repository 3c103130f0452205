// Of every channel e^x, divided by the sum of these over the channels of a pixel.
#include <algorithm>
#include <cmath>

#include "ops/lines.h"
#include "ops/make.h"

namespace sparsr::SPARSR_REAL {

namespace {

class SoftmaxWork : public Work {
public:
    SoftmaxWork(const Op& op, Operands operands, const KernelSet& kernels)
        : op_(op), operands_(std::move(operands)), kernels_(typed(kernels)), n_(size_t(operands_.output.vectors() * kernels.lanes)),
          largest_(n_), total_(n_) {}

    void run(int first, int last, float*) override {
        for (int y = first; y < last; ++y) {
            compute(y);
            activate_row(op_.activation, operands_.output, y, kernels_);
        }
    }

private:
    const Real* from(int c, int y) const { return operands_.inputs[0].row<Real>(y) + size_t(c) * operands_.inputs[0].stride(); }
    Real* to(int c, int y) const { return operands_.output.row<Real>(y) + size_t(c) * operands_.output.stride(); }

    // Less the largest x, which changes nothing and cannot overflow.
    void compute(int y) {
        const int channels = operands_.output.channels;
        std::copy_n(from(0, y), n_, largest_.begin());
        for (int c = 1; c < channels; ++c)
            for (size_t i = 0; i < n_; ++i) largest_[i] = std::max(largest_[i], float(from(c, y)[i]));
        std::fill(total_.begin(), total_.end(), 0.0f);
        for (int c = 0; c < channels; ++c)
            for (size_t i = 0; i < n_; ++i) {
                const float power = std::exp(float(from(c, y)[i]) - largest_[i]);
                total_[i] += power;
                to(c, y)[i] = Real(power);
            }
        for (int c = 0; c < channels; ++c)
            for (size_t i = 0; i < n_; ++i) to(c, y)[i] = Real(float(to(c, y)[i]) / total_[i]);
    }

    const Op& op_;
    Operands operands_;
    const Kernels& kernels_;
    size_t n_;  // places of a line
    std::vector<float> largest_, total_;  // of every place, over the channels
};

}  // namespace

Operator softmax_operator();
Operator softmax_operator() {
    Operator row{"ChannelSoftmax", 1, 1, read_nothing, make_lines<SoftmaxWork>};
    row.choices = lines_choice;
    row.in_place = first_in_place;
    return row;
}

}  // namespace sparsr::SPARSR_REAL
