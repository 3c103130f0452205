// The slow, obvious form of operations, whatever their operands' layouts: what the fast kernels are tested against, and what
// runs the rare cases they do not take.
#pragma once

#include "graph/op.h"
#include "ops/reals.h"

namespace sparsr::SPARSR_REAL {

class PlainWork : public Work {
public:
    PlainWork(const Op& op, Operands operands) : op_(op), layer_(*op.layer), operands_(std::move(operands)) {}

protected:
    const View& in() const { return operands_.inputs[0]; }
    const View& out() const { return operands_.output; }
    static const Real* line(const View& view, int c, int y) { return view.row<Real>(y) + size_t(c) * view.stride(); }
    static float at(const View& view, int c, int y, int x) { return line(view, c, y)[view.buffer->columns[size_t(x)]]; }
    void put(int c, int y, int x, float value) const {
        out().row<Real>(y)[size_t(c) * out().stride() + size_t(out().buffer->columns[size_t(x)])] = Real(value);
    }

    const Op& op_;
    const Layer& layer_;
    Operands operands_;
};

// Every value of the result by itself.
class PlainValues : public PlainWork {
public:
    using PlainWork::PlainWork;

    void run(int first, int last, float*) override {
        for (int y = first; y < last; ++y)
            for (int c = 0; c < out().channels; ++c)
                for (int x = 0; x < out().width(); ++x) put(c, y, x, value(c, y, x));
    }

protected:
    virtual float value(int c, int y, int x) const = 0;
};

}  // namespace sparsr::SPARSR_REAL
