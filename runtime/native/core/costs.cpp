#include "costs.h"

#include <algorithm>
#include <cmath>

#include "cost_file.h"

namespace sparsr {

namespace {

// Seconds that measuring may take for a model.
constexpr double patience = 1.5;
// Longer lines are as fast per vector as this.
constexpr int long_line = 24;

// Seconds of a vector's multiply-add, for all weights of a layer (sparse: for those kept): an AVX-512 core of 2023.
double constant(Choice::Kernel kernel) {
    switch (kernel) {
        case Choice::Kernel::sparse: return 0.26e-9;
        case Choice::Kernel::winograd: return 0.0715e-9;
        default: return 0.13e-9;
    }
}

double estimate(const Layer& layer, Choice::Kernel kernel, int channels, int vectors) {
    const double all = double(layer.outputs) * (channels / layer.groups) * layer.kernel_h * layer.kernel_w;
    const double weights = kernel == Choice::Kernel::sparse ? double(layer.weights.size()) : all;
    return weights * vectors * constant(kernel);
}

// Layers with the same key are taken to cost the same; numbers of weights within some 4 % count as equal.
std::string key(const Op& op, Choice::Kernel kernel, int channels, int vectors, const KernelSet& kernels) {
    const Layer& layer = *op.layer;
    std::string text = processor() + " " + kernels.name + " " + kernel_name(kernel);
    const long weights = kernel == Choice::Kernel::sparse ? std::lround(16 * std::log2(double(layer.weights.size()) + 1)) : 0;
    for (long part : {long(channels), long(layer.outputs), long(layer.kernel_h), long(layer.kernel_w), long(layer.stride),
                      long(layer.groups), long(op.block), long(vectors), weights})
        text += " " + std::to_string(part);
    return text;
}

}  // namespace

Costs::Costs(const KernelSet& kernels, bool measure)
    : kernels_(&kernels), measure_(measure && cost_file_exists()), left_(patience) {}

Cost Costs::of(const Op& op, const Choice& choice, int channels, int vectors) {
    const double estimated = estimate(*op.layer, choice.kernel, channels, vectors);
    if (!measure_) return {estimated, false};
    const int measured_vectors = std::min(vectors, long_line);
    const std::string name = key(op, choice.kernel, channels, measured_vectors, *kernels_);
    auto found = known_.find(name);
    if (found == known_.end()) {
        known_.merge(read_costs());
        found = known_.find(name);
    }
    if (found == known_.end()) {
        if (left_ <= 0) return {estimated, false};
        const double begin = thread_seconds();
        if (!meter_) meter_ = std::make_unique<Meter>(*kernels_);
        found = known_.emplace(name, meter_->seconds(op, choice, channels, measured_vectors)).first;
        left_ -= thread_seconds() - begin;
        changed_ = true;
    }
    return {found->second * vectors / measured_vectors, true};
}

std::pair<Choice, Cost> Costs::cheapest(const Op& op, const std::vector<Choice>& choices, int channels, int vectors) {
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
