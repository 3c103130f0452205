// Convolutions weight by weight; where outputs share their places, those of V outputs at once.
#include <array>
#include <numeric>
#include <tuple>

#include "ops/conv/work.h"

namespace sparsr::SPARSR_REAL {

namespace {

// Sparse kernels take this many input channels at a time, so that the rows they jump about in stay in the first cache;
// outputs with fewer weights than that is worth take all channels at once.
constexpr int block_channels = 128 / sizeof(Real);
constexpr int few_weights(int shared) { return shared == 4 ? 80 : 34; }

template <int V>
class SparseConvWork : public ConvWork {
public:
    SparseConvWork(const Op& op, Operands operands, const Kernels& kernels)
        : ConvWork(op, std::move(operands), kernels), groups_((layer_.outputs + V - 1) / V), bias_(layer_.bias) {
        bias_.resize(size_t(groups_) * V);
        const bool few = layer_.weights.size() < size_t(layer_.outputs) * few_weights(V);
        blocks_ = few ? 1 : (in().channels + block_channels - 1) / block_channels;
        starts_.assign(size_t(blocks_) * size_t(groups_) * size_t(layer_.kernel_h) + 1, 0);
        visit([&](size_t list, const Tap<V>&) { ++starts_[list + 1]; });
        std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
        taps_.resize(size_t(starts_.back()));
        std::vector<int32_t> next(starts_);
        visit([&](size_t list, const Tap<V>& tap) { taps_[size_t(next[list]++)] = tap; });
    }

    size_t scratch() const override { return size_t(groups_) * V * size_t(sparse_sums * kernels_.lanes); }

private:
    static auto place(const Weight& weight) { return std::tuple(weight.row, weight.channel, weight.column); }

    // Every tap in the order of its places, and the list that it belongs to: a group's of a block of channels and a row of
    // the kernel. A group has a tap wherever any of its outputs has a weight.
    template <class Visit>
    void visit(Visit visitor) const {
        for (size_t group = 0; group < size_t(groups_); ++group) {
            std::array<size_t, V> at, end;  // of every output's weights, which are in order
            for (size_t i = 0; i < V; ++i) {
                const size_t output = group * V + i;
                at[i] = output < size_t(layer_.outputs) ? layer_.first[output] : 0;
                end[i] = output < size_t(layer_.outputs) ? layer_.first[output + 1] : 0;
            }
            for (;;) {
                const Weight* next = nullptr;
                for (size_t i = 0; i < V; ++i)
                    if (at[i] < end[i] && (!next || place(layer_.weights[at[i]]) < place(*next))) next = &layer_.weights[at[i]];
                if (!next) break;
                Tap<V> tap{offset(next->channel, next->column), {}};
                for (size_t i = 0; i < V; ++i)
                    if (at[i] < end[i] && place(layer_.weights[at[i]]) == place(*next))
                        tap.weights[i] = Real(layer_.weights[at[i]++].value);
                const auto block = size_t(blocks_ > 1 ? next->channel / block_channels : 0);
                visitor((block * size_t(groups_) + group) * size_t(layer_.kernel_h) + next->row, tap);
            }
        }
    }

    void compute(int first, int rows, float* scratch) override {
        kernels_.sparse_conv({in_rows(first, rows), layer_.kernel_h, layer_.stride, rows, vectors(), layer_.outputs, blocks_,
                              V, groups_, taps_.data(), starts_.data(), bias_.data(), reinterpret_cast<Real*>(scratch),
                              store(first, rows), is_far() ? in().channels : 0, ptrdiff_t(in().stride())});
    }

    int groups_, blocks_ = 0;  // of outputs, of channels
    std::vector<float> bias_;
    std::vector<Tap<V>> taps_;
    std::vector<int32_t> starts_;
};

}  // namespace

std::unique_ptr<Work> make_sparse_conv(const Op& op, Operands operands, const Kernels& kernels) {
    return std::make_unique<SparseConvWork<1>>(op, std::move(operands), kernels);
}

std::unique_ptr<Work> make_shared_conv(const Op& op, Operands operands, const Kernels& kernels) {
    if (op.layer->shared == 4) return std::make_unique<SparseConvWork<4>>(op, std::move(operands), kernels);
    return std::make_unique<SparseConvWork<2>>(op, std::move(operands), kernels);
}

}  // namespace sparsr::SPARSR_REAL
