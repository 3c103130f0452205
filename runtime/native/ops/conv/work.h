// What all kernels for convolutions have in common.
#pragma once

#include <vector>

#include "ops/activation.h"
#include "ops/conv/borders.h"
#include "ops/conv/conv.h"

namespace sparsr::SPARSR_REAL {

constexpr size_t near_bytes = 1 << 20;  // may have stayed in the second cache since they were written

// Its members are many because kernels are told everything of a layer as plain arrays, found once and not at every step.
class ConvWork : public Work {
public:
    ConvWork(const Op& op, Operands operands, const Kernels& kernels)
        : op_(op), layer_(*op.layer), operands_(std::move(operands)), kernels_(kernels), borders_(op_, operands_, kernels),
          slopes_(size_t(layer_.outputs), 1) {
        if (storable(op.activation))
            for (size_t o = 0; o < slopes_.size(); ++o) slopes_[o] = op.activation.slope(o);
        const View& out = operands_.output;
        const auto lanes = size_t(kernels.lanes);
        const auto block = size_t(op.block);
        for (size_t o = 0; o < size_t(layer_.outputs); ++o) {
            offsets_.push_back(ptrdiff_t(o / (block * block) * out.stride() + o % block * lanes));
            phases_.push_back(int32_t(o / block % block));
            residuals_.push_back(ptrdiff_t(operands_.residual.buffer ? o * operands_.residual.stride() : 0));
        }
    }

    void run(int first, int last, float* scratch) override {
        compute(first / op_.block, (last - first) / op_.block, scratch);
        borders_.correct(first / op_.block, last / op_.block);
        if (storable(op_.activation)) return;
        for (int y = first; y < last; ++y) activate_row(op_.activation, operands_.output, y, kernels_);
    }

protected:
    // Rows of the convolution itself, before depth-to-space.
    virtual void compute(int first, int rows, float* scratch) = 0;

    const View& in() const { return operands_.inputs[0]; }
    int vectors() const { return operands_.output.vectors() / op_.block; }
    bool is_far() const { return in().buffer->bytes() > near_bytes; }
    // The rows that the kernel reads at `rows` output rows from `first` on: what tap (0, 0) of channel 0 sees in vector 0, and
    // so on down to the last one.
    const InRow* in_rows(int first, int rows) {
        const int above = first * layer_.stride - layer_.top;
        const auto count = size_t((rows - 1) * layer_.stride + layer_.kernel_h), stride = size_t(layer_.stride);
        in_rows_.resize(count);
        for (size_t i = count; i-- > 0;) {
            const Real* row = in().row<Real>(above + int(i)) - layer_.left * kernels_.lanes;
            in_rows_[i] = {row, i + stride < count ? in_rows_[i + stride].first - row : 0};
        }
        return in_rows_.data();
    }
    // Of a tap in a row.
    int32_t offset(int channel, int column) const {
        return int32_t((size_t(channel) * in().stride() + size_t(column * kernels_.lanes)) * sizeof(Real));
    }

    // Where `rows` rows from `first` on go.
    Store store(int first, int rows) {
        const View &out = operands_.output, &residual = operands_.residual;
        out_rows_.resize(size_t(rows * op_.block));
        for (size_t i = 0; i < out_rows_.size(); ++i) out_rows_[i] = out.row<Real>(first * op_.block + int(i));
        residual_rows_.resize(residual.buffer ? size_t(rows) : 0);
        for (size_t i = 0; i < residual_rows_.size(); ++i) residual_rows_[i] = residual.row<Real>(first + int(i));
        return {out_rows_.data(), op_.block, phases_.data(), offsets_.data(), ptrdiff_t(op_.block) * kernels_.lanes,
                residual.buffer ? residual_rows_.data() : nullptr, residuals_.data(), slopes_.data()};
    }

    const Op& op_;
    const Layer& layer_;
    Operands operands_;
    const Kernels& kernels_;
    Borders borders_;
    std::vector<ptrdiff_t> offsets_, residuals_;  // of every output, as a store wants them
    std::vector<int32_t> phases_;
    std::vector<float> slopes_;  // of negative values, for every output; 1 where no store applies the activation

private:
    std::vector<InRow> in_rows_;  // of a step
    std::vector<Real*> out_rows_;
    std::vector<const Real*> residual_rows_;
};

}  // namespace sparsr::SPARSR_REAL
