// Convolutions weight by weight.
#include <numeric>

#include "ops/conv/work.h"

namespace sparsr::SPARSR_REAL {

namespace {

// Sparse kernels take this many input channels at a time, so that the rows they jump about in stay in the first cache;
// outputs with fewer weights than that is worth take all channels at once.
constexpr int block_channels = 128 / sizeof(Real), few_weights = 34;

class SparseConvWork : public ConvWork {
public:
    SparseConvWork(const Op& op, Operands operands, const Kernels& kernels)
        : ConvWork(op, std::move(operands), kernels) {
        const bool few = layer_.weights.size() < size_t(layer_.outputs) * few_weights;
        blocks_ = few ? 1 : (in().channels + block_channels - 1) / block_channels;
        count();
        taps_.resize(layer_.weights.size());
        std::vector<int32_t> next(starts_);
        for (size_t o = 0; o < size_t(layer_.outputs); ++o)
            for (size_t i = layer_.first[o]; i < layer_.first[o + 1]; ++i) {
                const Weight& weight = layer_.weights[i];
                const auto place = size_t(next[list(weight, o)]++);
                taps_[place] = {offset(weight.channel, weight.column), Real(weight.value)};
            }
    }

    size_t scratch() const override { return size_t(layer_.outputs) * size_t(sparse_sums * kernels_.lanes); }

private:
    // An output's taps of a block of channels and a row of the kernel.
    size_t list(const Weight& weight, size_t output) const {
        const auto block = size_t(blocks_ > 1 ? weight.channel / block_channels : 0);
        return (block * size_t(layer_.outputs) + output) * size_t(layer_.kernel_h) + weight.row;
    }

    // Where every list starts, and the end.
    void count() {
        starts_.assign(size_t(blocks_) * size_t(layer_.outputs) * size_t(layer_.kernel_h) + 1, 0);
        for (size_t o = 0; o < size_t(layer_.outputs); ++o)
            for (size_t i = layer_.first[o]; i < layer_.first[o + 1]; ++i) ++starts_[list(layer_.weights[i], o) + 1];
        std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
    }

    void compute(int first, int rows, float* scratch) override {
        kernels_.sparse_conv({in_rows(first, rows), layer_.kernel_h, layer_.stride, rows, vectors(), layer_.outputs, blocks_,
                              taps_.data(), starts_.data(), layer_.bias.data(), reinterpret_cast<Real*>(scratch),
                              store(first, rows), is_far() ? in().channels : 0, ptrdiff_t(in().stride())});
    }

    int blocks_ = 0;  // of channels
    std::vector<Tap> taps_;
    std::vector<int32_t> starts_;
};

}  // namespace

std::unique_ptr<Work> make_sparse_conv(const Op& op, Operands operands, const Kernels& kernels) {
    return std::make_unique<SparseConvWork>(op, std::move(operands), kernels);
}

}  // namespace sparsr::SPARSR_REAL
