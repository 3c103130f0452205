#include "ops/conv/conv.h"

#include "error.h"

namespace sparsr::SPARSR_REAL {

namespace {

Size size(const Layer& layer, const std::vector<Size>& inputs) {
    const int height = inputs[0].height + layer.top + layer.bottom, width = inputs[0].width + layer.left + layer.right;
    require(height >= layer.kernel_h && width >= layer.kernel_w, "the image is too small for the layer " + layer.name);
    return {(height - layer.kernel_h) / layer.stride + 1, (width - layer.kernel_w) / layer.stride + 1};
}

RowRange rows(const Op& op, size_t, const ResultRows& asked) {
    const Layer& layer = *op.layer;
    return {asked.first * layer.stride - layer.top, (asked.last - 1) * layer.stride - layer.top + layer.kernel_h};
}

std::vector<Choice> choices(const Op& op, const Surroundings& around) {
    const Buffer &in = *around.inputs[0], &out = *around.output;
    const int stride = op.layer->stride;
    const bool aligned = stride <= 2 && in.vectors * op.block == out.vectors * stride &&
                         (!around.residual || around.residual->vectors * op.block == out.vectors);
    if (around.kernels.lanes > 1 && aligned)
        if (std::vector<Choice> fast = conv_choices(op, around.channels, in); !fast.empty()) return fast;
    return {Choice{Choice::Kernel::plain, op.block, {}}};
}

bool in_place(const Op& op, const Choice& choice, size_t input, const Surroundings&) {
    return op.block == 1 && input == op.inputs.size() && choice.kernel == Choice::Kernel::dense;
}

double products(const Op& op) { return double(op.layer->weights.size()); }

std::unique_ptr<Work> make(const Op& op, const Choice& choice, Operands operands, const KernelSet& kernels) {
    if (choice.kernel == Choice::Kernel::plain) return make_plain_conv(op, std::move(operands), typed(kernels));
    if (choice.kernel == Choice::Kernel::sparse) return make_sparse_conv(op, std::move(operands), typed(kernels));
    if (choice.kernel == Choice::Kernel::shared) return make_shared_conv(op, std::move(operands), typed(kernels));
    if (choice.kernel == Choice::Kernel::winograd) return make_winograd_conv(op, std::move(operands), typed(kernels));
    return make_dense_conv(op, std::move(operands), typed(kernels));
}

}  // namespace

Operator conv_operator();
Operator conv_operator() {
    return {"Conv", 1, 1, read_conv, make, size, rows, vectors_of_first, choices, in_place, products};
}

}  // namespace sparsr::SPARSR_REAL
