#include <algorithm>
#include <iterator>

#include "error.h"
#include "ops/winograd.h"
#include "ops/work.h"

namespace sparsr {

namespace {

constexpr const char* kernel_names[] = {"plain", "lines", "resampling", "sparse", "dense", "winograd", "masked"};

// Whether every place a kernel's taps reach can be told by a 32-bit number of bytes.
bool reachable(const Layer& layer, const Buffer& input) {
    const double line = (double(input.vectors) + 2.0 * layer.kernel_w + layer.left) * input.lanes;
    return line * input.channels * sizeof(float) * (layer.kernel_h + 1) < 2e9;
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

constexpr int masked_step = 8;

// Beyond this share of weights that are not zero no machine's sparse kernel is the fastest.
constexpr double never_sparse = 0.75;

Choice make_choice(const Op& op, Choice::Kernel kernel, int vectors) {
    const Layer& layer = *op.layer;
    Choice choice;
    choice.kernel = kernel;
    choice.step = (kernel == Choice::Kernel::winograd ? winograd_rows(vectors, layer.kernel_h) : 2) * op.block;
    choice.margin = {layer.top, layer.bottom, layer.left, std::max(0, layer.kernel_w - 1 - layer.left)};
    return choice;
}

}  // namespace

const char* kernel_name(Choice::Kernel kernel) { return kernel_names[size_t(kernel)]; }

Choice::Kernel find_kernel(const std::string& name) {
    const auto* found = std::find(std::begin(kernel_names), std::end(kernel_names), name);
    require(found != std::end(kernel_names), "there is no kernel " + name);
    return Choice::Kernel(found - std::begin(kernel_names));
}

Choice choose_masked(const Op& op) {
    Choice choice;
    choice.kernel = Choice::Kernel::masked;
    if (op.kind != Op::Kind::masked_conv) return choice;
    choice.step = masked_step;
    // Tiles of 4 x 4 pixels and one around; the last ones may reach beyond the image on the right.
    choice.margin = {1, 1, 1, 4};
    return choice;
}

std::vector<Choice> conv_choices(const Op& op, int channels, const Buffer& input) {
    if (!reachable(*op.layer, input)) return {};
    std::vector<Choice> choices{make_choice(op, Choice::Kernel::dense, input.vectors)};
    if (density(*op.layer, channels) < never_sparse) choices.push_back(make_choice(op, Choice::Kernel::sparse, input.vectors));
    // Half precision would not survive Winograd's transforms.
    const bool tiles = input.real_bytes == sizeof(float) && tileable(*op.layer, channels, input.vectors);
    if (tiles) choices.push_back(make_choice(op, Choice::Kernel::winograd, input.vectors));
    return choices;
}

}  // namespace sparsr
