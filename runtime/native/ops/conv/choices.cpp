#include <algorithm>

#include "ops/conv/conv.h"
#include "ops/conv/winograd.h"

namespace sparsr {

namespace {

// Whether every place a kernel's taps reach can be told by a 32-bit number of bytes.
bool reachable(const Layer& layer, const Buffer& input) {
    const double line = (double(input.vectors) + 2.0 * layer.kernel_w + layer.left) * input.lanes;
    return line * input.channels * sizeof(float) < 2e9;
}

double density(const Layer& layer, int channels) {
    return double(layer.weights.size()) / dense_weights(layer, channels);
}

// Whether Winograd's tiles fit the layer and its lines, and it has channels enough for the products to outweigh the
// transforms.
bool tileable(const Layer& layer, int channels, int vectors) {
    const bool side = (layer.kernel_h == 3 || layer.kernel_h == 5) && layer.kernel_w == layer.kernel_h;
    const bool fits = side && layer.groups == 1 && layer.stride == 1;
    return fits && vectors >= winograd_results(winograd_narrow, layer.kernel_h) && std::min(channels, layer.outputs) >= 12;
}

// Beyond this share of weights that are not zero no machine's sparse kernel is the fastest.
constexpr double never_sparse = 0.75;

size_t weight_bytes(const Layer& layer, Choice::Kernel kernel, int channels, int vectors) {
    if (kernel == Choice::Kernel::winograd) return winograd_bytes(vectors, layer.kernel_h, channels, layer.outputs);
    const size_t values = layer.weights.size() * sizeof(float), places = layer.weights.size() * sizeof(int32_t);
    if (kernel == Choice::Kernel::sparse) return values + places;
    if (kernel == Choice::Kernel::shared) return values + places / size_t(layer.shared);
    return size_t(dense_weights(layer, channels) * sizeof(float));
}

Choice make_choice(const Op& op, Choice::Kernel kernel, int channels, int vectors) {
    const Layer& layer = *op.layer;
    Choice choice;
    choice.kernel = kernel;
    choice.step = (kernel == Choice::Kernel::winograd ? winograd_rows(vectors, layer.kernel_h) : 2) * op.block;
    choice.margin = {layer.top, layer.bottom, layer.left, std::max(0, layer.kernel_w - 1 - layer.left)};
    choice.weight_bytes = weight_bytes(layer, kernel, channels, vectors);
    return choice;
}

}  // namespace

std::vector<Choice> conv_choices(const Op& op, int channels, const Buffer& input) {
    if (!reachable(*op.layer, input)) return {};
    std::vector<Choice> choices{make_choice(op, Choice::Kernel::dense, channels, input.vectors)};
    if (density(*op.layer, channels) < never_sparse) {
        choices.push_back(make_choice(op, Choice::Kernel::sparse, channels, input.vectors));
        if (op.layer->shared > 1) choices.push_back(make_choice(op, Choice::Kernel::shared, channels, input.vectors));
    }
    // Half precision would not survive Winograd's transforms.
    const bool tiles = input.real_bytes == sizeof(float) && tileable(*op.layer, channels, input.vectors);
    if (tiles) choices.push_back(make_choice(op, Choice::Kernel::winograd, channels, input.vectors));
    return choices;
}

}  // namespace sparsr
