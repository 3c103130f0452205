// The slow, obvious form of every operation, whatever its operands' layouts. What the fast kernels are tested against,
// and what runs the rare cases they do not take.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/borders.h"
#include "ops/works.h"

namespace sparsr::SPARSR_REAL {

namespace {

float activated(const Activation& activation, float x) {
    switch (activation.function) {
        case Activation::Function::leaky: return x < 0 ? activation.slope * x : x;
        case Activation::Function::sigmoid: {
            const float small = std::exp(-std::abs(x));  // only of negative numbers, which cannot overflow
            return (x < 0 ? small : 1) / (1 + small);
        }
        default: return x;
    }
}

// First and last x + 1 for which x * stride + shift lies in 0..size - 1.
RowRange inside(int shift, int stride, int size, int count) {
    const int first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    const int last = shift >= size ? 0 : (size - 1 - shift) / stride + 1;
    return {std::min(first, count), std::min(last, count)};
}

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

class PlainConv : public PlainWork {
public:
    PlainConv(const Op& op, Operands operands, const Kernels& kernels)
        : PlainWork(op, std::move(operands)), borders_(op_, operands_, kernels) {}

    void run(int first, int last, float*) override {
        sums_.resize(size_t(out().width() / op_.block));
        for (int y = first / op_.block; y < last / op_.block; ++y)
            for (int o = 0; o < layer_.outputs; ++o) {
                sum_up(o, y);
                store(o, y);
            }
        borders_.correct(first / op_.block, last / op_.block);
    }

private:
    void sum_up(int o, int y) {
        std::fill(sums_.begin(), sums_.end(), layer_.bias[size_t(o)]);
        for (size_t i = layer_.first[size_t(o)]; i < layer_.first[size_t(o) + 1]; ++i) {
            const Weight& weight = layer_.weights[i];
            const int from = y * layer_.stride - layer_.top + weight.row, shift = weight.column - layer_.left;
            if (from < 0 || from >= in().height()) continue;
            const RowRange range = inside(shift, layer_.stride, in().width(), int(sums_.size()));
            const Real* seen = line(in(), weight.channel, from);
            const auto& columns = in().buffer->columns;
            for (int x = range.first; x < range.last; ++x)
                sums_[size_t(x)] += weight.value * seen[columns[size_t(x * layer_.stride + shift)]];
        }
    }

    void store(int o, int y) {
        const int block = op_.block, dy = o / block % block, dx = o % block;
        for (int x = 0; x < int(sums_.size()); ++x) {
            float value = sums_[size_t(x)];
            if (operands_.residual.buffer) value += at(operands_.residual, o, y, x);
            put(o / (block * block), y * block + dy, x * block + dx, activated(op_.activation, value));
        }
    }

    Borders borders_;
    std::vector<float> sums_;
};

class Moments : public PlainWork {
public:
    Moments(const Op& op, Operands operands, const Kernels& kernels)
        : PlainWork(op, std::move(operands)), kernels_(kernels) {}

    void run(int, int, float*) override {
        const double pixels = double(in().height()) * in().width();
        const std::vector<double> all = sums();
        for (int c = 0; c < out().channels; ++c) {
            const double mean = all[size_t(c)] / pixels;
            put(c, 0, 0, float(layer_.kind == Kind::mean ? mean : std::sqrt(squares(c, mean) / pixels)));
        }
    }

private:
    // Of every channel, in the order of memory.
    std::vector<double> sums() const {
        std::vector<double> totals(size_t(out().channels));
        for (int y = 0; y < in().height(); ++y)
            for (size_t c = 0; c < totals.size(); ++c)
                totals[c] += kernels_.sum(line(in(), int(c), y), in().vectors() * kernels_.lanes);
        return totals;
    }

    double squares(int c, double centre) const {
        double total = 0;
        for (int y = 0; y < in().height(); ++y) {
            const Real* x = line(in(), c, y);
            for (int column : in().buffer->columns) {
                const double distance = double(x[column]) - centre;
                total += distance * distance;
            }
        }
        return total;
    }

    const Kernels& kernels_;
};

class PlainPool : public PlainWork {
public:
    using PlainWork::PlainWork;

    void run(int first, int last, float*) override {
        for (int y = first; y < last; ++y)
            for (int c = 0; c < out().channels; ++c)
                for (int x = 0; x < out().width(); ++x) put(c, y, x, pooled(c, y * layer_.stride, x * layer_.stride));
    }

private:
    float pooled(int c, int y, int x) const {
        float best = -std::numeric_limits<float>::infinity(), sum = 0;
        for (int dy = 0; dy < layer_.kernel; ++dy)
            for (int dx = 0; dx < layer_.kernel; ++dx) {
                const float value = at(in(), c, y + dy, x + dx);
                best = std::max(best, value);
                sum += value;
            }
        return layer_.kind == Kind::max_pool ? best : sum / float(layer_.kernel * layer_.kernel);
    }
};

class PlainResize : public PlainWork {
public:
    using PlainWork::PlainWork;

    void run(int first, int last, float*) override {
        for (int y = first; y < last; ++y) {
            const Between rows(y, in().height(), out().height());
            for (int x = 0; x < out().width(); ++x) {
                const Between columns(x, in().width(), out().width());
                for (int c = 0; c < out().channels; ++c)
                    put(c, y, x, mix(mix(at(in(), c, rows.low, columns.low), at(in(), c, rows.low, columns.high), columns),
                                     mix(at(in(), c, rows.high, columns.low), at(in(), c, rows.high, columns.high), columns),
                                     rows));
            }
        }
    }

private:
    static float mix(float a, float b, const Between& between) { return a * (1 - between.share) + b * between.share; }
};

class PlainPadEdge : public PlainWork {
public:
    using PlainWork::PlainWork;

    void run(int first, int last, float*) override {
        const auto nearest = [this](int i, int size) { return std::clamp(i - layer_.amount, 0, size - 1); };
        for (int y = first; y < last; ++y)
            for (int c = 0; c < out().channels; ++c)
                for (int x = 0; x < out().width(); ++x)
                    put(c, y, x, at(in(), c, nearest(y, in().height()), nearest(x, in().width())));
    }
};

// Padding to even sides and cropping: the pixel at the same place, or the nearest one.
class PlainReframe : public PlainWork {
public:
    using PlainWork::PlainWork;

    void run(int first, int last, float*) override {
        const bool aligned = in().vectors() == out().vectors();
        const int shared = aligned ? std::min(in().width(), out().width()) : 0;
        for (int y = first; y < last; ++y)
            for (int c = 0; c < out().channels; ++c) {
                const int from = std::min(y, in().height() - 1);
                if (aligned) {
                    const Real* source = line(in(), c, from);
                    std::copy(source, source + in().vectors() * in().buffer->lanes, out().row<Real>(y) + size_t(c) * out().stride());
                }
                for (int x = shared; x < out().width(); ++x) put(c, y, x, at(in(), c, from, std::min(x, in().width() - 1)));
            }
    }
};

class PlainDepthToSpace : public PlainWork {
public:
    using PlainWork::PlainWork;

    void run(int first, int last, float*) override {
        const int block = layer_.block;
        for (int y = first; y < last; ++y)
            for (int c = 0; c < out().channels; ++c)
                for (int x = 0; x < out().width(); ++x)
                    put(c, y, x, at(in(), (c * block + y % block) * block + x % block, y / block, x / block));
    }
};

}  // namespace

std::unique_ptr<Work> make_plain_work(const Op& op, Operands operands, const Kernels& kernels) {
    switch (op.layer->kind) {
        case Kind::conv: return std::make_unique<PlainConv>(op, std::move(operands), kernels);
        case Kind::mean:
        case Kind::deviation: return std::make_unique<Moments>(op, std::move(operands), kernels);
        case Kind::max_pool:
        case Kind::avg_pool: return std::make_unique<PlainPool>(op, std::move(operands));
        case Kind::pad_to_even:
        case Kind::crop: return std::make_unique<PlainReframe>(op, std::move(operands));
        case Kind::resize: return std::make_unique<PlainResize>(op, std::move(operands));
        case Kind::pad_edge: return std::make_unique<PlainPadEdge>(op, std::move(operands));
        default: return std::make_unique<PlainDepthToSpace>(op, std::move(operands));
    }
}

}  // namespace sparsr::SPARSR_REAL
