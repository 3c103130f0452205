// Convolutions in their slow, obvious form.
#include <algorithm>

#include "ops/activation.h"
#include "ops/conv/borders.h"
#include "ops/conv/conv.h"
#include "ops/plain.h"

namespace sparsr::SPARSR_REAL {

namespace {

// First and last x + 1 for which x * stride + shift lies in 0..size - 1.
RowRange inside(int shift, int stride, int size, int count) {
    const int first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    const int last = shift >= size ? 0 : (size - 1 - shift) / stride + 1;
    return {std::min(first, count), std::min(last, count)};
}

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
            put(o / (block * block), y * block + dy, x * block + dx, activated(op_.activation, size_t(o), value));
        }
    }

    Borders borders_;
    std::vector<float> sums_;
};

}  // namespace

std::unique_ptr<Work> make_plain_conv(const Op& op, Operands operands, const Kernels& kernels) {
    return std::make_unique<PlainConv>(op, std::move(operands), kernels);
}

}  // namespace sparsr::SPARSR_REAL
