// Convolutions packed for the fast kernels.
#include <algorithm>
#include <numeric>

#include "winograd.h"
#include "works.h"

namespace sparsr::SPARSR_REAL {

namespace {

// Sparse kernels take this many input channels at a time, so that the rows they jump about in stay in the first cache;
// outputs with fewer weights than that is worth take all channels at once.
constexpr int block_channels = 128 / sizeof(Real), few_weights = 34;
constexpr size_t near_bytes = 1 << 20;  // may have stayed in the second cache since they were written
constexpr int dense_part = 0, winograd_part = 1;  // of a layer's packing: sizes differ in which of them they want

class ConvWork : public Work {
public:
    ConvWork(const Op& op, Operands operands, const Kernels& kernels)
        : op_(op), layer_(*op.layer), operands_(std::move(operands)), kernels_(kernels) {
        const View& out = operands_.output;
        const auto lanes = size_t(kernels.lanes);
        const auto block = size_t(op.block);
        for (size_t o = 0; o < size_t(layer_.outputs); ++o)
            offsets_.push_back(ptrdiff_t(o / (block * block) * out.stride() + o / block % block * out.buffer->row_stride +
                                         o % block * lanes));
    }

    void run(int first, int last, float* scratch) override {
        compute(first / op_.block, (last - first) / op_.block, scratch);
        if (storable(op_.activation)) return;
        for (int y = first; y < last; ++y) activate(op_.activation, operands_.output, y, kernels_);
    }

protected:
    // Rows of the convolution itself, before depth-to-space.
    virtual void compute(int first, int rows, float* scratch) = 0;

    const View& in() const { return operands_.inputs[0]; }
    int vectors() const { return operands_.output.vectors() / op_.block; }
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
        store.slope = storable(op_.activation) ? op_.activation.slope : 1;
        return store;
    }

    const Op& op_;
    const Layer& layer_;
    Operands operands_;
    const Kernels& kernels_;
    std::vector<ptrdiff_t> offsets_;
};

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
                taps_[place] = {offset(weight.channel, weight.row, weight.column), Real(weight.value)};
            }
    }

    size_t scratch() const override { return size_t(layer_.outputs) * size_t(sparse_sums * kernels_.lanes); }

private:
    // An output's taps of a block of channels.
    size_t list(const Weight& weight, size_t output) const {
        return size_t(blocks_ > 1 ? weight.channel / block_channels : 0) * size_t(layer_.outputs) + output;
    }

    // Where every list starts, and the end.
    void count() {
        starts_.assign(size_t(blocks_) * size_t(layer_.outputs) + 1, 0);
        for (size_t o = 0; o < size_t(layer_.outputs); ++o)
            for (size_t i = layer_.first[o]; i < layer_.first[o + 1]; ++i) ++starts_[list(layer_.weights[i], o) + 1];
        std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
    }

    void compute(int first, int rows, float* scratch) override {
        kernels_.sparse_conv({in_rows(first), in_row(), layer_.stride, rows, vectors(), layer_.outputs, blocks_,
                              taps_.data(), starts_.data(), layer_.bias.data(), reinterpret_cast<Real*>(scratch), store(first),
                              in().buffer->bytes() > near_bytes ? in().channels : 0, ptrdiff_t(in().stride())});
    }

    int blocks_ = 0;  // of channels
    std::vector<Tap> taps_;
    std::vector<int32_t> starts_;
};

class DenseConvWork : public ConvWork {
public:
    DenseConvWork(const Op& op, Operands operands, const Kernels& kernels)
        : ConvWork(op, std::move(operands), kernels),
          group_inputs_(in().channels / layer_.groups),
          group_outputs_(layer_.outputs / layer_.groups) {
        for (int row = 0; row < layer_.kernel_h; ++row)
            for (int c = 0; c < group_inputs_; ++c)
                for (int column = 0; column < layer_.kernel_w; ++column) taps_.push_back(offset(c, row, column));
        group_size_ = (size_t(group_outputs_) + dense_outputs - 1) / dense_outputs * dense_outputs * taps_.size();
        const size_t bytes = group_size_ * size_t(layer_.groups) * sizeof(Real);
        const auto fill = [this](float* to) {
            for (int o = 0; o < layer_.outputs; ++o) pack(o, reinterpret_cast<Real*>(to));
        };
        weights_ = reinterpret_cast<const Real*>(
            operands_.packing->weights(layer_, dense_part, (bytes + sizeof(float) - 1) / sizeof(float), fill));
    }

private:
    void pack(int output, Real* to) const {
        const int group = output / group_outputs_, o = output % group_outputs_;
        for (size_t i = layer_.first[size_t(output)]; i < layer_.first[size_t(output) + 1]; ++i) {
            const Weight& weight = layer_.weights[i];
            const int channel = weight.channel - group * group_inputs_;
            const int tap = (weight.row * group_inputs_ + channel) * layer_.kernel_w + weight.column;
            const size_t place = (size_t(o / dense_outputs) * taps_.size() + size_t(tap)) * dense_outputs;
            Real& sum = to[size_t(group) * group_size_ + place + size_t(o % dense_outputs)];
            sum = Real(sum + weight.value);
        }
    }

    void compute(int first, int rows, float*) override {
        for (int group = 0; group < layer_.groups; ++group) {
            Store to = store(first);
            to.offsets += group * group_outputs_;
            if (to.residual) to.residual += group * group_outputs_ * to.residual_channel;
            const Real* from = in_rows(first) + size_t(group * group_inputs_) * in().stride();
            kernels_.dense_conv({from, in_row(), layer_.stride, rows, vectors(), group_outputs_, int(taps_.size()),
                                 taps_.data(), weights_ + size_t(group) * group_size_,
                                 layer_.bias.data() + group * group_outputs_, to});
        }
    }

    int group_inputs_, group_outputs_;
    size_t group_size_ = 0;
    std::vector<int32_t> taps_;
    const Real* weights_ = nullptr;
};

constexpr int tile_rows = 4;

class WinogradConvWork : public ConvWork {
public:
    WinogradConvWork(const Op& op, Operands operands, const Kernels& kernels)
        : ConvWork(op, std::move(operands), kernels), inputs_(in().channels), group_(kernels.winograd_group) {
        whole_ = (layer_.outputs + group_ - 1) / group_ * group_;
        weights_ = operands_.packing->weights(layer_, winograd_part, size_t(36) * size_t(whole_) * size_t(inputs_),
                                              [this](float* to) { pack(to); });
    }

    size_t scratch() const override { return transformed() + products(); }

private:
    void pack(float* to) const {
        std::vector<double> filter(size_t(inputs_) * 9);
        for (int o = 0; o < layer_.outputs; ++o) {
            std::fill(filter.begin(), filter.end(), 0);
            for (size_t i = layer_.first[size_t(o)]; i < layer_.first[size_t(o) + 1]; ++i) {
                const Weight& weight = layer_.weights[i];
                filter[size_t(weight.channel) * 9 + weight.row * size_t(3) + weight.column] += weight.value;
            }
            for (int c = 0; c < inputs_; ++c) {
                const size_t place = (size_t(o / group_) * size_t(inputs_) + size_t(c)) * size_t(group_) + size_t(o % group_);
                winograd_filter(&filter[size_t(c) * 9], to + place, size_t(whole_) * size_t(inputs_));
            }
        }
    }

    size_t transformed() const { return planes(inputs_); }
    size_t products() const { return planes(winograd_chunk); }
    size_t planes(int channels) const {
        return 36 * (size_t(channels) * winograd_tiles + 1) * size_t(kernels_.lanes);
    }

    void compute(int first, int rows, float* scratch) override {
        for (int row = 0; row < rows; row += tile_rows)
            kernels_.winograd_conv({in_rows(first + row), in_row(), ptrdiff_t(in().stride()), std::min(rows - row, tile_rows),
                                    vectors(), inputs_, layer_.outputs, weights_, layer_.bias.data(), scratch,
                                    scratch + transformed(), store(first + row)});
    }

    int inputs_, group_, whole_ = 0;
    const float* weights_ = nullptr;
};

}  // namespace

std::unique_ptr<Work> make_conv_work(const Op& op, const Choice& choice, Operands operands, const Kernels& kernels) {
    if (choice.kernel == Choice::Kernel::sparse)
        return std::make_unique<SparseConvWork>(op, std::move(operands), kernels);
    if (choice.kernel == Choice::Kernel::winograd)
        return std::make_unique<WinogradConvWork>(op, std::move(operands), kernels);
    return std::make_unique<DenseConvWork>(op, std::move(operands), kernels);
}

}  // namespace sparsr::SPARSR_REAL
