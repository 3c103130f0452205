// What all kernels for convolutions have in common.
#pragma once

#include <vector>

#include "ops/activation.h"
#include "ops/conv/borders.h"
#include "ops/conv/conv.h"

namespace sparsr::SPARSR_REAL {

constexpr size_t near_bytes = 1 << 20;  // may have stayed in the second cache since they were written

class ConvWork : public Work {
public:
    ConvWork(const Op& op, Operands operands, const Kernels& kernels)
        : op_(op), layer_(*op.layer), operands_(std::move(operands)), kernels_(kernels), borders_(op_, operands_, kernels), slopes_(size_t(layer_.outputs), 1) {
        if (storable(op.activation))
            for (size_t o = 0; o < slopes_.size(); ++o) slopes_[o] = op.activation.slope(o);
        const View& out = operands_.output;
        const auto lanes = size_t(kernels.lanes);
        const auto block = size_t(op.block);
        for (size_t o = 0; o < size_t(layer_.outputs); ++o)
            offsets_.push_back(ptrdiff_t(o / (block * block) * out.stride() + o / block % block * out.buffer->row_stride +
                                         o % block * lanes));
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
    ptrdiff_t in_row() const { return ptrdiff_t(in().buffer->row_stride) * layer_.stride; }
    // What tap (0, 0) of channel 0 sees in vector 0 of output row `row`.
    const Real* in_rows(int row) const { return in().row<Real>(row * layer_.stride - layer_.top) - layer_.left * kernels_.lanes; }
    int32_t offset(int channel, int row, int column) const {
        return int32_t((size_t(row) * in().buffer->row_stride + size_t(channel) * in().stride() +
                        size_t(column * kernels_.lanes)) * sizeof(Real));
    }

    Store store(int first) const {
        Store store{};
        const View &out = operands_.output, &residual = operands_.residual;
        store.out = out.row<Real>(first * op_.block);
        store.offsets = offsets_.data();
        store.row = ptrdiff_t(out.buffer->row_stride) * op_.block;
        store.step = ptrdiff_t(op_.block) * kernels_.lanes;
        if (residual.buffer) {
            store.residual = residual.row<Real>(first);
            store.residual_channel = ptrdiff_t(residual.stride());
            store.residual_row = ptrdiff_t(residual.buffer->row_stride);
        }
        store.slopes = slopes_.data();
        return store;
    }

    const Op& op_;
    const Layer& layer_;
    Operands operands_;
    const Kernels& kernels_;
    Borders borders_;
    std::vector<ptrdiff_t> offsets_;
    std::vector<float> slopes_;  // of negative values, for every output; 1 where no store applies the activation
};

}  // namespace sparsr::SPARSR_REAL
