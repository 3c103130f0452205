// Every pixel as a block of factor x factor pixels.
#include <algorithm>

#include "ops/operator.h"
#include "ops/reals.h"

namespace sparsr::SPARSR_REAL {

namespace {

struct Nearest : Options {
    int factor = 1;
};

int factor_of(const Layer& layer) { return layer.as<Nearest>().factor; }

int read(Layer& layer, const Entry& entry) {
    auto options = std::make_shared<Nearest>();
    options->factor = entry.integer("factor", 1, max_block);
    layer.options = std::move(options);
    return entry.channels()[0];
}

Size size(const Layer& layer, const std::vector<Size>& inputs) {
    return {inputs[0].height * factor_of(layer), inputs[0].width * factor_of(layer)};
}

RowRange rows(const Op& op, size_t, const ResultRows& asked) {
    const int factor = factor_of(*op.layer);
    return {asked.first / factor, (asked.last - 1) / factor + 1};
}

int vectors(const Op& op, const std::vector<int>& inputs) { return inputs[0] * factor_of(*op.layer); }

// Where lanes stay, column x of a lane becomes the columns from factor * x on of the same lane: vectors are repeated.
class NearestWork : public Work {
public:
    NearestWork(const Op& op, Operands operands, const KernelSet& kernels)
        : factor_(factor_of(*op.layer)), lanes_(kernels.lanes), in_(operands.inputs[0]), out_(operands.output),
          aligned_(in_.vectors() * factor_ == out_.vectors()) {}

    void run(int first, int last, float*) override {
        for (int y = first; y < last; ++y)
            for (int c = 0; c < out_.channels; ++c) {
                const Real* from = in_.row<Real>(y / factor_) + size_t(c) * in_.stride();
                Real* to = out_.row<Real>(y) + size_t(c) * out_.stride();
                aligned_ ? repeat(from, to) : pick(from, to);
            }
    }

private:
    void repeat(const Real* from, Real* to) const {
        for (int v = 0; v < in_.vectors(); ++v, from += lanes_)
            for (int i = 0; i < factor_; ++i, to += lanes_) std::copy(from, from + lanes_, to);
    }

    void pick(const Real* from, Real* to) const {
        const auto &there = in_.buffer->columns, &here = out_.buffer->columns;
        for (size_t x = 0; x < here.size(); ++x) to[here[x]] = from[there[x / size_t(factor_)]];
    }

    int factor_, lanes_;
    View in_, out_;
    bool aligned_;
};

std::vector<Choice> choices(const Op& op, const Surroundings&) {
    return {Choice{Choice::Kernel::lines, factor_of(*op.layer), {}}};
}

std::unique_ptr<Work> make(const Op& op, const Choice&, Operands operands, const KernelSet& kernels) {
    return std::make_unique<NearestWork>(op, std::move(operands), kernels);
}

}  // namespace

Operator nearest_operator();
Operator nearest_operator() { return {"UpsampleNearest", 1, 1, read, make, size, rows, vectors, choices}; }

}  // namespace sparsr::SPARSR_REAL
