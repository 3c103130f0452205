// Convolutions packed for the fast kernels.
#include <algorithm>
#include <map>
#include <tuple>
#include <numeric>

#include "ops/borders.h"
#include "ops/winograd.h"
#include "ops/works.h"

namespace sparsr::SPARSR_REAL {

namespace {

// Sparse kernels take this many input channels at a time, so that the rows they jump about in stay in the first cache;
// outputs with fewer weights than that is worth take all channels at once.
constexpr int block_channels = 128 / sizeof(Real), few_weights = 34;
constexpr size_t near_bytes = 1 << 20;  // may have stayed in the second cache since they were written

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
          group_(size_t(kernels.winograd_group)), cover_(winograd_cover(vectors(), side_)) {
        for (size_t i = 0; i < cover_.size(); ++i) {
            const int points = cover_[i].points;
            if (cover_[i].count)
                weights_[i] = operands_.packing->weights(layer_, points, products(points) * plane(layer_.outputs),
                                                         [=](float* to) { pack(points, to); });
        }
    }

    size_t scratch() const override { return planes(inputs_) + planes(winograd_block); }

private:
    // As `WinogradConv` wants them.
    void pack(int points, float* to) const {
        const WinogradFilter winograd(side_, winograd_points, points);
        const auto side = size_t(side_), places = side * side;
        std::vector<double> filter(inputs_ * places);
        for (int first = 0; first < layer_.outputs; first += winograd_block) {
            const int count = std::min(layer_.outputs - first, int(winograd_block));
            for (size_t o = 0; o < size_t(count); ++o) {
                read_filters(size_t(first) + o, filter);
                for (size_t c = 0; c < inputs_; ++c)
                    winograd.transform(&filter[c * places], to + (o / group_ * inputs_ + c) * group_ + o % group_, plane(count));
            }
            to += products(points) * plane(count);
        }
    }

    // Those of an output.
    void read_filters(size_t output, std::vector<double>& filters) const {
        const auto side = size_t(side_);
        std::fill(filters.begin(), filters.end(), 0);
        for (size_t i = layer_.first[output]; i < layer_.first[output + 1]; ++i) {
            const Weight& weight = layer_.weights[i];
            filters[(weight.channel * side + weight.row) * side + weight.column] += weight.value;
        }
    }

    static size_t products(int points) { return size_t(winograd_points * points); }
    // Weights of so many outputs for one product.
    size_t plane(int outputs) const { return (size_t(outputs) + group_ - 1) / group_ * group_ * inputs_; }
    // Floats of all planes of whole blocks of channels.
    size_t planes(size_t channels) const {
        const size_t blocks = (channels + winograd_block - 1) / winograd_block;
        return blocks * products(winograd_points) * winograd_plane * size_t(kernels_.lanes);
    }

    void compute(int first, int rows, float* scratch) override {
        const int step = 2 * winograd_results(winograd_points, side_);
        for (int row = first; row < first + rows; row += step)
            for (size_t i = 0; i < cover_.size(); ++i)
                if (cover_[i].count)
                    kernels_.winograd_conv({side_, cover_[i].points, in_rows(row), in_row(), ptrdiff_t(in().stride()),
                                            std::min(first + rows - row, step), vectors(), cover_[i].first, cover_[i].count,
                                            int(inputs_), layer_.outputs, weights_[i], layer_.bias.data(), scratch,
                                            scratch + planes(inputs_), store(row)});
    }

    int side_;
    size_t inputs_, group_;
    WinogradCover cover_;
    const float* weights_[2] = {};  // of the kinds of tiles that lines of this length have
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
