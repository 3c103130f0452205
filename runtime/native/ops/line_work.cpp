// Operations on every value by itself, a line (one channel of one row) at a time.
#include <algorithm>

#include "ops/works.h"

namespace sparsr::SPARSR_REAL {

bool storable(const Activation& activation) {
    return activation.function != Activation::Function::sigmoid && activation.slope >= 0 && activation.slope <= 1;
}

namespace {

void activate_line(const Activation& activation, Real* line, int n, const Kernels& kernels) {
    if (activation.function == Activation::Function::sigmoid)
        kernels.sigmoid(line, n, line);
    else if (activation.function == Activation::Function::leaky)
        kernels.leaky(line, n, activation.slope, line);
}

class LineWork : public Work {
public:
    LineWork(const Op& op, Operands operands, const Kernels& kernels)
        : op_(op), operands_(std::move(operands)), kernels_(kernels), n_(operands_.output.vectors() * kernels.lanes) {
        lines_.resize(operands_.inputs.size() + 1);
    }

    void run(int first, int last, float*) override {
        for (int y = first; y < last; ++y)
            for (int c = 0; c < operands_.output.channels; ++c) run_line(c, y);
    }

private:
    void run_line(int c, int y) {
        Real* out = operands_.output.row<Real>(y) + size_t(c) * operands_.output.stride();
        if (op_.kind == Op::Kind::copy) {
            const Real* x = line(0, c, y);
            std::copy(x, x + n_, out);
            return;
        }
        const Layer& layer = *op_.layer;
        switch (layer.kind) {
            case Kind::affine:
                kernels_.affine(line(0, c, y), n_, layer.factor[size_t(c)], layer.bias[size_t(c)], out);
                break;
            case Kind::avg_pool: kernels_.halve(own_line(0, c, 2 * y), own_line(0, c, 2 * y + 1), operands_.output.vectors(), out); break;
            case Kind::add: kernels_.add(line(0, c, y), line(1, c, y), n_, out); break;
            case Kind::mul: multiply(c, y, out); break;
            default: kernels_.affine(line(0, c, y), n_, 1, 0, out);
        }
        activate_line(op_.activation, out, n_, kernels_);
    }

    void multiply(int c, int y, Real* out) {
        const Real* x = line(0, c, y);
        if (spread() && operands_.residual.buffer) {
            kernels_.scaled_add(x, n_, first_value(c), residual_line(c, y), out);
        } else if (spread()) {
            kernels_.affine(x, n_, first_value(c), 0, out);
        } else {
            fetch(x + 2 * operands_.inputs[0].stride());
            (op_.gates ? kernels_.gate : kernels_.mul)(x, line(1, c, y), n_, out);
            if (operands_.residual.buffer) kernels_.add(out, residual_line(c, y), n_, out);
        }
    }

    // Begins to load a line that comes soon.
    void fetch(const Real* line) const {
        for (int i = 0; i < n_; i += kernels_.lanes) __builtin_prefetch(line + i);
    }

    bool spread() const {
        const View &one = operands_.inputs[1], &all = operands_.output;
        return one.height() != all.height() || one.width() != all.width();
    }

    float first_value(int c) const {
        const View& view = operands_.inputs[1];
        Real value = view.row<Real>(0)[size_t(c) * view.stride() + size_t(view.buffer->columns[0])];
        if (op_.gates) kernels_.sigmoid(&value, 1, &value);
        return value;
    }

    const Real* residual_line(int c, int y) { return aligned(operands_.residual, operands_.inputs.size(), c, y); }

    const Real* own_line(size_t input, int c, int y) const {
        const View& view = operands_.inputs[input];
        return view.row<Real>(y) + size_t(c) * view.stride();
    }

    // The input's line in the output's layout.
    const Real* line(size_t input, int c, int y) { return aligned(operands_.inputs[input], input, c, y); }

    // A view's line in the output's layout, if need be as copy `number`.
    const Real* aligned(const View& view, size_t number, int c, int y) {
        const Real* from = view.row<Real>(y) + size_t(c) * view.stride();
        if (view.vectors() == operands_.output.vectors()) return from;
        std::vector<Real>& copy = lines_[number];
        copy.assign(size_t(n_), 0);
        const auto &there = view.buffer->columns, &here = operands_.output.buffer->columns;
        for (size_t x = 0; x < here.size(); ++x) copy[size_t(here[x])] = from[there[x]];
        return copy.data();
    }

    const Op& op_;
    Operands operands_;
    const Kernels& kernels_;
    int n_;
    std::vector<std::vector<Real>> lines_;
};

}  // namespace

void activate(const Activation& activation, const View& view, int row, const Kernels& kernels) {
    for (int c = 0; c < view.channels; ++c)
        activate_line(activation, view.row<Real>(row) + size_t(c) * view.stride(), view.vectors() * kernels.lanes, kernels);
}

void fill_sides(const Buffer& buffer, Real* line, int channels, const Kernels& kernels) {
    if (buffer.pixel || (!buffer.left && !buffer.right)) return;  // beside pixels nothing is ever written
    if (std::max(buffer.left, buffer.right) <= buffer.vectors) {
        kernels.fill_sides(line, channels, ptrdiff_t(buffer.channel_stride), buffer.vectors, buffer.left, buffer.right);
        return;
    }
    const auto value = [&](int c, int x) {
        return x >= 0 && x < buffer.width ? line[size_t(c) * buffer.channel_stride + size_t(buffer.columns[size_t(x)])] : 0;
    };
    const auto fill = [&](int c, int vector) {
        Real* to = line + ptrdiff_t(size_t(c) * buffer.channel_stride) + vector * buffer.lanes;
        for (int lane = 0; lane < buffer.lanes; ++lane) to[lane] = Real(value(c, lane * buffer.vectors + vector));
    };
    for (int c = 0; c < channels; ++c) {
        for (int vector = -buffer.left; vector < 0; ++vector) fill(c, vector);
        for (int vector = buffer.vectors; vector < buffer.vectors + buffer.right; ++vector) fill(c, vector);
    }
}

std::unique_ptr<Work> make_line_work(const Op& op, Operands operands, const Kernels& kernels) {
    return std::make_unique<LineWork>(op, std::move(operands), kernels);
}

}  // namespace sparsr::SPARSR_REAL
