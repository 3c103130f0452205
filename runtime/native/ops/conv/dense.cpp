// Convolutions whose outputs read the same places.
#include <map>
#include <numeric>
#include <tuple>

#include "ops/conv/work.h"

namespace sparsr::SPARSR_REAL {

namespace {

// Outputs that read the same places, and these.
struct Family {
    std::vector<int> outputs;
    std::vector<int32_t> taps, starts;  // starts: of every row of the kernel, and the end
    std::vector<ptrdiff_t> offsets, residuals;  // where the outputs go
    std::vector<int32_t> phases;
    std::vector<float> bias, slopes;
    std::vector<Real> weights;
};

// The outputs of a group or phase make a family.
class DenseConvWork : public ConvWork {
public:
    DenseConvWork(const Op& op, Operands operands, const Kernels& kernels)
        : ConvWork(op, std::move(operands), kernels) {
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
        family.starts.assign(size_t(layer_.kernel_h) + 1, 0);
        for (auto& [place, tap] : places) {
            tap = family.taps.size();
            family.taps.push_back(offset(std::get<1>(place), std::get<2>(place)));
            ++family.starts[size_t(std::get<0>(place)) + 1];
        }
        std::partial_sum(family.starts.begin(), family.starts.end(), family.starts.begin());
        const size_t count = family.outputs.size(), blocks = (count + dense_outputs - 1) / dense_outputs;
        family.weights.assign(blocks * dense_outputs * places.size(), 0);
        for (size_t i = 0; i < count; ++i) {
            const int o = family.outputs[i];
            family.offsets.push_back(offsets_[size_t(o)]);
            family.residuals.push_back(residuals_[size_t(o)]);
            family.phases.push_back(phases_[size_t(o)]);
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

    void compute(int first, int rows, float*) override {
        const InRow* in = in_rows(first, rows);
        Store to = store(first, rows);
        for (const Family& family : families_) {
            to.phases = family.phases.data();
            to.offsets = family.offsets.data();
            to.residuals = family.residuals.data();
            to.slopes = family.slopes.data();
            kernels_.dense_conv({in, layer_.kernel_h, layer_.stride, rows, vectors(), int(family.outputs.size()),
                                 family.taps.data(), family.starts.data(), family.weights.data(), family.bias.data(), to});
        }
    }

    std::vector<Family> families_;
};

}  // namespace

std::unique_ptr<Work> make_dense_conv(const Op& op, Operands operands, const Kernels& kernels) {
    return std::make_unique<DenseConvWork>(op, std::move(operands), kernels);
}

}  // namespace sparsr::SPARSR_REAL
