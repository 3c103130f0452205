// Reads masked blocks.
#include <algorithm>
#include <numeric>

#include "error.h"
#include "ops/masked/masked.h"

namespace sparsr {

namespace {

constexpr size_t max_parts = 64;

// `before`: the order of its inputs.
MaskedPart read_part(const Layer& layer, const StoredTensor& stored, const Json& dense, const std::vector<int>& before) {
    const size_t channels = before.size(), row = size_t(masked_row(int(channels)));
    const auto side = int64_t(channels);
    require(stored.shape == std::vector<int64_t>{side, side, 3, 3}, layer.name + " has a weight of impossible shape");
    std::vector<bool> wanted(channels);
    for (const Json& channel : dense.array("dense")) wanted[size_t(channel.integer("dense", 0, side - 1))] = true;
    MaskedPart part;
    part.order.resize(channels);
    std::iota(part.order.begin(), part.order.end(), 0);
    const auto end = std::stable_partition(part.order.begin(), part.order.end(), [&](int c) { return wanted[size_t(c)]; });
    part.dense = int(end - part.order.begin());
    part.weights = Mapping(9 * channels * row * sizeof(float));
    float* to = part.weights.data();
    for (size_t tap = 0; tap < 9; ++tap)
        for (size_t k = 0; k < channels; ++k, to += row)
            for (size_t n = 0; n < channels; ++n)
                to[n] = value_at(stored, (size_t(part.order[n]) * channels + size_t(before[k])) * 9 + tap);
    return part;
}

void pack_fuse(Masked& masked, const std::vector<float>& weights) {
    const size_t channels = masked.parts[0].order.size(), inputs = masked.parts.size() * channels;
    const size_t row = size_t(masked_row(int(masked.bias.size())));
    masked.fuse = Mapping(inputs * row * sizeof(float));
    float* to = masked.fuse.data();
    for (size_t part = 0; part < masked.parts.size(); ++part)
        for (int channel : masked.parts[part].order) {
            for (size_t n = 0; n < masked.bias.size(); ++n) to[n] = weights[n * inputs + part * channels + size_t(channel)];
            to += row;
        }
}

}  // namespace

int read_masked(Layer& layer, const Entry& entry) {
    const int channels = entry.channels()[0];
    require(entry.channels()[1] == 2, layer.name + " needs two logits");
    const auto& weights = entry.array("weights");
    const auto& dense = entry.array("dense");
    require(!weights.empty() && weights.size() <= max_parts && weights.size() == dense.size(),
            layer.name + " has an impossible number of layers");
    auto masked = std::make_shared<Masked>();
    masked->bias = entry.floats("fuse_bias");
    require(!masked->bias.empty() && masked->bias.size() <= max_channels, layer.name + " has too many channels");
    std::vector<int> order(static_cast<size_t>(channels));
    std::iota(order.begin(), order.end(), 0);
    for (size_t i = 0; i < weights.size(); ++i) {
        masked->parts.push_back(read_part(layer, entry.tensor_named(weights[i].string("weights")), dense[i], order));
        order = masked->parts.back().order;
    }
    pack_fuse(*masked, entry.floats("fuse_weight", masked->bias.size() * weights.size() * size_t(channels)));
    layer.outputs = int(masked->bias.size());
    layer.options = std::move(masked);
    return layer.outputs;
}

}  // namespace sparsr
