#include "cost/costs.h"

#include <algorithm>
#include <cmath>

#include "cost/file.h"
#include "cost/shapes.h"
#include "ops/conv/winograd.h"
#include "ops/masked/masked.h"
#include "system/system.h"

namespace sparsr {

namespace {

// Seconds that measuring may take for a model.
constexpr double patience = 1.5;
// Longer lines are as fast per vector as this.
constexpr int long_line = 24;
constexpr double masked_products = double(mask_points * mask_points) / (mask_side * mask_side);  // of a channel's result

// Seconds of a vector's multiply-add with their share of all else: an AVX-512 core of 2024.
double constant(Choice::Kernel kernel) {
    switch (kernel) {
        case Choice::Kernel::sparse: return 0.24e-9;
        case Choice::Kernel::winograd: return 0.2e-9;
        default: return 0.13e-9;
    }
}

double estimate(const Layer& layer, Choice::Kernel kernel, int channels, int vectors) {
    return kernel_products(layer, kernel, channels, vectors) * vectors * constant(kernel);
}

// Layers with the same key are taken to cost the same; numbers of weights within some 4 % count as equal.
std::string key(const Op& op, Choice::Kernel kernel, int channels, int vectors, const KernelSet& kernels) {
    const Layer& layer = *op.layer;
    std::string text = processor() + " " + kernels.name + " " + kernel_name(kernel);
    const bool sparse = kernel == Choice::Kernel::sparse || kernel == Choice::Kernel::shared;
    const long weights = sparse ? std::lround(16 * std::log2(double(layer.weights.size()) + 1)) : 0;
    for (long part : {long(channels), long(layer.outputs), long(layer.kernel_h), long(layer.kernel_w), long(layer.stride),
                      long(layer.groups), long(op.block), long(vectors), weights, long(kernel == Choice::Kernel::shared ? layer.shared : 1)})
        text += " " + std::to_string(part);
    return text;
}

// A masked block's convolution as one without masks.
struct MaskedShape {
    int inputs, outputs, side;
    int dense;  // pairs of inputs and outputs that every pixel computes

    explicit MaskedShape(const Op& op) {
        const auto& parts = parts_of(op);
        const int channels = int(parts[0].order.size());
        if (op.kind == Kind::masked_fuse) {
            int kept = 0;
            for (const MaskedPart& part : parts) kept += part.dense;
            *this = {channels * int(parts.size()), op.layer->outputs, 1, kept * op.layer->outputs};
        } else {
            const auto part = size_t(op.part);
            *this = {channels, channels, 3, (part ? parts[part - 1].dense : channels) * parts[part].dense};
        }
    }

private:
    MaskedShape(int from, int to, int taps, int kept) : inputs(from), outputs(to), side(taps), dense(kept) {}
};

double without_masks(const MaskedShape& shape, const Meter& meter, const KernelSet& kernels, int vectors) {
    const Layer layer = make_layer({shape.inputs, shape.outputs, shape.side, 1, 1, 1, 1, vectors * kernels.lanes});
    Op op;
    op.kind = Kind::conv;
    op.layer = &layer;
    double best = 1e9;
    for (const Choice& choice : choices_alone(op, shape.inputs, vectors, kernels))
        best = std::min(best, meter.seconds(op, choice, shape.inputs, vectors));
    return best;
}

}  // namespace

double kernel_products(const Layer& layer, Choice::Kernel kernel, int channels, int vectors) {
    if (kernel == Choice::Kernel::sparse || kernel == Choice::Kernel::shared || kernel == Choice::Kernel::plain) return double(layer.weights.size());
    if (kernel == Choice::Kernel::winograd) return winograd_products(layer.kernel_h, vectors) * layer.outputs * channels;
    return dense_weights(layer, channels);
}

Costs::Costs(const KernelSet& kernels, bool measure)
    : kernels_(&kernels), measure_(measure && cost_file_exists()), left_(patience) {}

std::optional<double> Costs::find(const std::string& name, const std::function<double(const Meter&)>& measure) {
    if (!measure_ || kernels_->lanes == 1) return {};  // plain kernels have no choice
    auto found = known_.find(name);
    if (found == known_.end()) {
        known_.merge(read_costs());
        found = known_.find(name);
    }
    if (found == known_.end()) {
        if (left_ <= 0) return {};
        const double begin = system::thread_seconds();
        if (!meter_) meter_ = std::make_unique<Meter>(*kernels_);
        found = known_.emplace(name, measure(*meter_)).first;
        left_ -= system::thread_seconds() - begin;
        changed_ = true;
    }
    return found->second;
}

Cost Costs::of(const Op& op, const Choice& choice, int channels, int vectors) {
    if (op.kind == Kind::masked_conv || op.kind == Kind::masked_fuse) return masked(op, vectors);
    if (op.kind != Kind::conv || choice.kernel == Choice::Kernel::plain) return {};
    const int measured_vectors = std::min(vectors, long_line);
    const auto known = find(key(op, choice.kernel, channels, measured_vectors, *kernels_), [&](const Meter& meter) {
        return meter.seconds(op, choice, channels, measured_vectors);
    });
    if (!known) return {estimate(*op.layer, choice.kernel, channels, vectors), false};
    return {*known * vectors / measured_vectors, true};
}

Cost Costs::masked(const Op& op, int vectors) {
    const MaskedShape shape(op);
    const int measured_vectors = std::min(vectors, long_line);
    const auto known = [&](const char* what, int dense, const std::function<double(const Meter&)>& measure) {
        std::string name = processor() + " " + kernels_->name + " " + what;
        for (int part : {shape.inputs, shape.outputs, shape.side, dense, measured_vectors}) name += " " + std::to_string(part);
        return find(name, measure);
    };
    const auto all = known("masked", 0, [&](const Meter& meter) { return meter.masked_seconds(op, measured_vectors, true); });
    const auto none = known("masked none", shape.dense, [&](const Meter& meter) {
        return meter.masked_seconds(op, measured_vectors, false);
    });
    const auto dense = known("without masks", 0, [&](const Meter& meter) {
        return without_masks(shape, meter, *kernels_, measured_vectors);
    });
    if (all && none && dense) {
        const double rows = double(vectors) / measured_vectors;
        return {*all * rows, true, *none * rows, *dense * rows};
    }
    const Choice::Kernel kernel = shape.side == 3 ? Choice::Kernel::winograd : Choice::Kernel::dense;
    const double taps = kernel == Choice::Kernel::winograd ? masked_products : 1;
    const double estimated = taps * shape.inputs * shape.outputs * vectors * constant(kernel);
    return {estimated, false, estimated * shape.dense / (double(shape.inputs) * shape.outputs), estimated};
}

std::pair<Choice, Cost> Costs::cheapest(const Op& op, const std::vector<Choice>& choices, int channels, int vectors) {
    if (choices.size() == 1) return {choices[0], of(op, choices[0], channels, vectors)};
    std::vector<Cost> costs;
    for (const Choice& choice : choices) costs.push_back(of(op, choice, channels, vectors));
    // What is measured and what is estimated do not compare.
    if (!std::all_of(costs.begin(), costs.end(), [](const Cost& cost) { return cost.measured; }))
        for (size_t i = 0; i < choices.size(); ++i)
            costs[i] = {estimate(*op.layer, choices[i].kernel, channels, vectors), false};
    const auto best = std::min_element(costs.begin(), costs.end(),
                                       [](const Cost& a, const Cost& b) { return a.seconds < b.seconds; });
    return {choices[size_t(best - costs.begin())], *best};
}

void Costs::save() {
    if (changed_) write_costs(known_);
    changed_ = false;
    meter_.reset();
}

}  // namespace sparsr
