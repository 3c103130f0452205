#include <algorithm>

#include "work.h"

namespace sparsr {

namespace {

// Share of weights below which the sparse kernel beats the dense ones.
constexpr double sparse_density = 0.5;

// Whether every place a kernel's taps reach can be told by a 32-bit number of bytes.
bool reachable(const Layer& layer, const Buffer& input) {
    const double line = (double(input.vectors) + 2.0 * layer.kernel_w + layer.left) * input.lanes;
    return line * input.channels * sizeof(float) * (layer.kernel_h + 1) < 2e9;
}

double density(const Layer& layer, int channels) {
    const double all = double(layer.outputs) * (channels / layer.groups) * layer.kernel_h * layer.kernel_w;
    return double(layer.weights.size()) / all;
}

}  // namespace

const char* kernel_name(Choice::Kernel kernel) {
    static const char* const names[] = {"plain", "lines", "sparse", "dense", "winograd"};
    return names[size_t(kernel)];
}

Choice choose_conv(const Op& op, const Buffer& input, const Kernels&) {
    const Layer& layer = *op.layer;
    Choice choice;
    choice.step = op.block;
    if (!reachable(layer, input)) return choice;
    const int channels = int(layer.weights.empty() ? 1 : input.channels);
    choice.kernel = density(layer, channels) < sparse_density ? Choice::Kernel::sparse : Choice::Kernel::dense;
    choice.step = 2 * op.block;
    choice.margin = {layer.top, layer.bottom, layer.left, std::max(0, layer.kernel_w - 1 - layer.left)};
    return choice;
}

}  // namespace sparsr
