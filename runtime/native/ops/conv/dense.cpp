// Convolutions whose outputs read the same places: all of them, or a few at a time.
#include <map>
#include <tuple>

#include "ops/conv/work.h"

namespace sparsr::SPARSR_REAL {

namespace {

// Outputs that read the same places, and these.
struct Family {
    std::vector<int> outputs;
    std::vector<int32_t> taps;
    std::vector<ptrdiff_t> offsets;  // where the outputs go
    std::vector<float> bias, slopes;
    std::vector<Real> weights;
};

// The outputs of a group or phase, or those that share their places, make a family.
class DenseConvWork : public ConvWork {
public:
    DenseConvWork(const Op& op, bool shared, Operands operands, const Kernels& kernels)
        : ConvWork(op, std::move(operands), kernels), shared_(shared) {
        families_.resize(size_t(shared ? layer_.outputs / layer_.shared : layer_.groups * layer_.phases));
        for (int o = 0; o < layer_.outputs; ++o) family(o).outputs.push_back(o);
        for (Family& family : families_) pack(family);
    }

private:
    Family& family(int output) {
        if (shared_) return families_[size_t(output / layer_.shared)];
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
            family.slopes.push_back(slopes_[size_t(o)]);
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

    // Many small families take one tile of columns after the other, so that what the tile reads stays in the first cache.
    void compute(int first, int rows, float*) override {
        const int widest = kernels_.shared_vectors * dense_outputs / layer_.shared;
        const int tiles = shared_ ? (vectors() + widest - 1) / widest : 1;
        for (int tile = 0; tile < tiles; ++tile) compute(first, rows, vectors() * tile / tiles, vectors() * (tile + 1) / tiles);
    }

    // Vectors begin <= v < end of the rows.
    void compute(int first, int rows, int begin, int end) const {
        const Real* in = in_rows(first) + begin * layer_.stride * kernels_.lanes;
        for (const Family& family : families_) {
            Store to = store(first);
            to.out += begin * to.step;
            if (to.residual) to.residual += begin * kernels_.lanes;
            to.offsets = family.offsets.data();
            to.slopes = family.slopes.data();
            // Families of phases have no residuals, those of groups lie behind each other.
            if (to.residual) to.residual += family.outputs[0] * to.residual_channel;
            kernels_.dense_conv({in, in_row(), layer_.stride, rows, end - begin, int(family.outputs.size()),
                                 int(family.taps.size()), family.taps.data(), family.weights.data(), family.bias.data(), to});
        }
    }

    bool shared_;
    std::vector<Family> families_;
};

}  // namespace

std::unique_ptr<Work> make_dense_conv(const Op& op, Operands operands, const Kernels& kernels) {
    return std::make_unique<DenseConvWork>(op, false, std::move(operands), kernels);
}

std::unique_ptr<Work> make_shared_conv(const Op& op, Operands operands, const Kernels& kernels) {
    return std::make_unique<DenseConvWork>(op, true, std::move(operands), kernels);
}

}  // namespace sparsr::SPARSR_REAL
