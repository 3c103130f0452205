// Operations on every value by itself, a line (one channel of one row) at a time.
#pragma once

#include <algorithm>
#include <vector>

#include "graph/op.h"
#include "ops/activation.h"
#include "ops/reals.h"

namespace sparsr::SPARSR_REAL {

class LineWork : public Work {
public:
    LineWork(const Op& op, Operands operands, const KernelSet& kernels)
        : op_(op), operands_(std::move(operands)), kernels_(typed(kernels)), n_(operands_.output.vectors() * kernels.lanes),
          copies_(operands_.inputs.size() + 1) {}

    void run(int first, int last, float*) override {
        for (int y = first; y < last; ++y)
            for (int c = 0; c < operands_.output.channels; ++c) {
                Real* out = operands_.output.row<Real>(y) + size_t(c) * operands_.output.stride();
                compute(c, y, out);
                activate_line(op_.activation, size_t(c), out, n_, kernels_);
            }
    }

protected:
    // Line c of row y, before the activation.
    virtual void compute(int c, int y, Real* out) = 0;

    // An input's line as it lies.
    const Real* own_line(size_t input, int c, int y) const {
        const View& view = operands_.inputs[input];
        return view.row<Real>(y) + size_t(c) * view.stride();
    }
    // The same in the output's layout, and the residual's.
    const Real* line(size_t input, int c, int y) { return aligned(operands_.inputs[input], input, c, y); }
    const Real* residual_line(int c, int y) { return aligned(operands_.residual, operands_.inputs.size(), c, y); }

    const Op& op_;
    Operands operands_;
    const Kernels& kernels_;
    int n_;  // values of a line

private:
    // If need be as copy `number`.
    const Real* aligned(const View& view, size_t number, int c, int y) {
        const Real* from = view.row<Real>(y) + size_t(c) * view.stride();
        if (view.vectors() == operands_.output.vectors()) return from;
        std::vector<Real>& copy = copies_[number];
        copy.assign(size_t(n_), 0);
        const auto &there = view.buffer->columns, &here = operands_.output.buffer->columns;
        for (size_t x = 0; x < here.size(); ++x) copy[size_t(here[x])] = from[there[x]];
        return copy.data();
    }

    std::vector<std::vector<Real>> copies_;
};

}  // namespace sparsr::SPARSR_REAL
