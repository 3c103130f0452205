#include <algorithm>

#include "ops/work.h"

namespace sparsr {

Between::Between(int i, int input_size, int output_size) {
    const double centre = std::clamp((i + 0.5) * input_size / output_size - 0.5, 0.0, double(input_size - 1));
    low = std::clamp(int(centre), 0, std::max(input_size - 2, 0));
    high = std::min(low + 1, input_size - 1);
    share = float(centre - low);
}

namespace {

RowRange window(int first, int last, int stride, int top, int kernel) {
    return {first * stride - top, (last - 1) * stride - top + kernel};
}

RowRange layer_rows(const Layer& layer, size_t input, int input_height, int output_height, int first, int last) {
    switch (layer.kind) {
        case Kind::conv: return window(first, last, layer.stride, layer.top, layer.kernel_h);
        case Kind::max_pool:
        case Kind::avg_pool: return window(first, last, layer.stride, 0, layer.kernel);
        case Kind::mean:
        case Kind::deviation: return {0, input_height};
        case Kind::depth_to_space: return {first / layer.block, (last - 1) / layer.block + 1};
        case Kind::pad_to_even: return {std::min(first, input_height - 1), std::min(last, input_height)};
        case Kind::pad_edge:
            return {std::clamp(first - layer.amount, 0, input_height - 1),
                    std::clamp(last - layer.amount, 1, input_height)};
        case Kind::resize:
            if (input == 1) return {input_height, 0};  // only its size matters
            return {Between(first, input_height, output_height).low, Between(last - 1, input_height, output_height).high + 1};
        default: break;
    }
    const bool spread = layer.kind == Kind::mul && input == 1 && input_height != output_height;
    return spread ? RowRange{0, input_height} : RowRange{first, last};
}

}  // namespace

RowRange input_rows(const Op& op, size_t input, int input_height, int output_height, int first, int last) {
    // A tile is cleared where one beside it reads it.
    if (op.kind == Op::Kind::masked_conv) return input == 0 ? RowRange{first - 1, last + 1} : RowRange{first - 4, last + 4};
    if (op.kind != Op::Kind::layer) return {first, last};
    const RowRange rows{first / op.block, (last - 1) / op.block + 1};
    if (input == op.inputs.size()) return rows;  // the residual comes last
    return layer_rows(*op.layer, input, input_height, output_height, rows.first, rows.last);
}

}  // namespace sparsr
