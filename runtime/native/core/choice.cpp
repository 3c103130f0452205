#include <algorithm>

#include "work.h"

namespace sparsr {

namespace {

// Whether every place a kernel's taps reach can be told by a 32-bit number of bytes.
bool reachable(const Layer& layer, const Buffer& input) {
    const double line = (double(input.vectors) + 2.0 * layer.kernel_w + layer.left) * input.lanes;
    return line * input.channels * sizeof(float) * (layer.kernel_h + 1) < 2e9;
}

double density(const Layer& layer, int channels) {
    const double all = double(layer.outputs) * (channels / layer.groups) * layer.kernel_h * layer.kernel_w;
    return double(layer.weights.size()) / all;
}

// Whether Winograd's 4x4 tiles fit the layer, and are wide enough for its products to outweigh the transforms.
bool tileable(const Layer& layer, int channels, int vectors) {
    const bool fits = layer.kernel_h == 3 && layer.kernel_w == 3 && layer.groups == 1;
    return fits && vectors >= 4 && std::min(channels, layer.outputs) >= 12;
}

// Output rows of a masked convolution at once: the tiles of some rows share the weights while those are in the cache.
constexpr int masked_step = 8;

// Time of each kernel for all weights of a layer relative to the dense one's.
constexpr double sparse_cost = 2.0, winograd_cost = 0.55;

Choice::Kernel fastest(double share, bool tiles) {
    const double dense = tiles ? winograd_cost : 1;
    if (share * sparse_cost < dense) return Choice::Kernel::sparse;
    return tiles ? Choice::Kernel::winograd : Choice::Kernel::dense;
}

}  // namespace

const char* kernel_name(Choice::Kernel kernel) {
    static const char* const names[] = {"plain", "lines", "sparse", "dense", "winograd", "masked"};
    return names[size_t(kernel)];
}

Choice choose_masked(const Op& op) {
    Choice choice;
    choice.kernel = Choice::Kernel::masked;
    if (op.kind != Op::Kind::masked_conv) return choice;
    choice.step = masked_step;
    choice.tiles = true;
    // Tiles of 4 x 4 pixels and one around; the last ones may reach beyond the image.
    choice.margin = {1, 4, 1, 4};
    return choice;
}

Choice choose_conv(const Op& op, int channels, const Buffer& input) {
    const Layer& layer = *op.layer;
    Choice choice;
    choice.step = op.block;
    if (!reachable(layer, input)) return choice;
    // A mask must not depend on Winograd's rounding.
    choice.kernel = fastest(density(layer, channels), !op.decides && tileable(layer, channels, input.vectors));
    choice.tiles = choice.kernel == Choice::Kernel::winograd;
    choice.step = (choice.tiles ? 4 : 2) * op.block;
    choice.margin = {layer.top, layer.bottom, layer.left, std::max(0, layer.kernel_w - 1 - layer.left)};
    // The tiles of the last rows may reach further down.
    if (choice.tiles) choice.margin.bottom += 3;
    return choice;
}

}  // namespace sparsr
