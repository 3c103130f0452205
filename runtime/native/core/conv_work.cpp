// Convolutions packed for the fast kernels.
#include <algorithm>
#include <map>
#include <tuple>
#include <numeric>

#include "borders.h"
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
        : op_(op), layer_(*op.layer), operands_(std::move(operands)), kernels_(kernels), borders_(op_, operands_, kernels) {
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
        for (int y = first; y < last; ++y) activate(op_.activation, operands_.output, y, kernels_);
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
        store.slope = storable(op_.activation) ? op_.activation.slope : 1;
        return store;
    }

    const Op& op_;
    const Layer& layer_;
    Operands operands_;
    const Kernels& kernels_;
    Borders borders_;
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
                              is_far() ? in().channels : 0, ptrdiff_t(in().stride())});
    }

    int blocks_ = 0;  // of channels
    std::vector<Tap> taps_;
    std::vector<int32_t> starts_;
};

// Outputs that read the same places, and these.
struct Family {
    std::vector<int> outputs;
    std::vector<int32_t> taps;
    std::vector<ptrdiff_t> offsets;  // where the outputs go
    std::vector<float> bias;
    std::vector<Real> weights;
};

class DenseConvWork : public ConvWork {
public:
    DenseConvWork(const Op& op, Operands operands, const Kernels& kernels) : ConvWork(op, std::move(operands), kernels) {
        families_.resize(size_t(layer_.groups * layer_.phases));
        for (int o = 0; o < layer_.outputs; ++o) family(o).outputs.push_back(o);
        for (Family& family : families_) pack(family);
    }

private:
    Family& family(int output) {
        return families_[size_t(layer_.phases > 1 ? output % layer_.phases : output / (layer_.outputs / layer_.groups))];
    }

    void pack(Family& family) const {
        std::map<std::tuple<int, int, int>, size_t> places;  // of row, channel, column among the taps
        for (const int o : family.outputs)
            for_weights(o, [&](const Weight& weight) { places[{weight.row, weight.channel, weight.column}]; });
        for (auto& [place, tap] : places) {
            tap = family.taps.size();
            family.taps.push_back(offset(std::get<1>(place), std::get<0>(place), std::get<2>(place)));
        }
        const size_t count = family.outputs.size(), blocks = (count + dense_outputs - 1) / dense_outputs;
        family.weights.assign(blocks * dense_outputs * places.size(), 0);
        for (size_t i = 0; i < count; ++i) {
            const int o = family.outputs[i];
            family.offsets.push_back(offsets_[size_t(o)]);
            family.bias.push_back(layer_.bias[size_t(o)]);
            Real* const to = &family.weights[i / dense_outputs * places.size() * dense_outputs + i % dense_outputs];
            for_weights(o, [&](const Weight& weight) {
                Real& sum = to[places[{weight.row, weight.channel, weight.column}] * dense_outputs];
                sum = Real(sum + weight.value);
            });
        }
    }

    template <class Visit>
    void for_weights(int output, Visit visit) const {
        for (size_t i = layer_.first[size_t(output)]; i < layer_.first[size_t(output) + 1]; ++i) visit(layer_.weights[i]);
    }

    void compute(int first, int rows, float*) override {
        for (const Family& family : families_) {
            Store to = store(first);
            to.offsets = family.offsets.data();
            // Families of phases have no residuals, those of groups lie behind each other.
            if (to.residual) to.residual += family.outputs[0] * to.residual_channel;
            kernels_.dense_conv({in_rows(first), in_row(), layer_.stride, rows, vectors(), int(family.outputs.size()),
                                 int(family.taps.size()), family.taps.data(), family.weights.data(), family.bias.data(), to});
        }
    }

    std::vector<Family> families_;
};

class WinogradConvWork : public ConvWork {
public:
    WinogradConvWork(const Op& op, Operands operands, const Kernels& kernels)
        : ConvWork(op, std::move(operands), kernels), side_(layer_.kernel_h), inputs_(size_t(in().channels)),
          group_(size_t(kernels.winograd_group)) {
        plane_ = (size_t(layer_.outputs) + group_ - 1) / group_ * group_ * inputs_;
        weights_ = operands_.packing->weights(layer_, winograd_part, products() * plane_, [this](float* to) { pack(to); });
    }

    size_t scratch() const override { return planes(inputs_) + planes(winograd_chunk); }

private:
    void pack(float* to) const {
        const auto side = size_t(side_), places = side * side;
        std::vector<double> filter(inputs_ * places);
        for (size_t o = 0; o < size_t(layer_.outputs); ++o) {
            std::fill(filter.begin(), filter.end(), 0);
            for (size_t i = layer_.first[o]; i < layer_.first[o + 1]; ++i) {
                const Weight& weight = layer_.weights[i];
                filter[weight.channel * places + weight.row * side + weight.column] += weight.value;
            }
            for (size_t c = 0; c < inputs_; ++c)
                winograd_filter(&filter[c * places], side_, to + (o / group_ * inputs_ + c) * group_ + o % group_, plane_);
        }
    }

    size_t products() const { return size_t(winograd_spread(side_) * winograd_spread(side_)); }
    size_t planes(size_t channels) const { return products() * (channels * winograd_tiles + 1) * size_t(kernels_.lanes); }

    void compute(int first, int rows, float* scratch) override {
        for (int row = 0; row < rows; row += winograd_tile)
            kernels_.winograd_conv({side_, in_rows(first + row), in_row(), ptrdiff_t(in().stride()),
                                    std::min(rows - row, winograd_tile), vectors(), int(inputs_), layer_.outputs, weights_,
                                    layer_.bias.data(), scratch, scratch + planes(inputs_), store(first + row), is_far()});
    }

    int side_;
    size_t inputs_, group_, plane_ = 0;
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
