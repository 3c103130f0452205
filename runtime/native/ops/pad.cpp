// A map with pixels around it: its outermost ones repeated, or the image mirrored at them.
#include <algorithm>

#include "error.h"
#include "ops/make.h"
#include "ops/reals.h"

namespace sparsr::SPARSR_REAL {

namespace {

struct Pad : Options {
    int top = 0, left = 0, bottom = 0, right = 0;
};

int read(Layer& layer, const Entry& entry) {
    const auto& padding = entry.array("padding");
    require(padding.size() == 4, "padding is not four numbers");
    auto options = std::make_shared<Pad>();
    int* const sides[] = {&options->top, &options->left, &options->bottom, &options->right};
    for (size_t i = 0; i < 4; ++i) *sides[i] = int(padding[i].integer("padding", 0, max_kernel));
    layer.options = std::move(options);
    return entry.channels()[0];
}

Size size(const Layer& layer, const std::vector<Size>& inputs) {
    const auto& pad = layer.as<Pad>();
    const bool mirrors = layer.kind == Kind::pad_reflect;
    require(!mirrors || (std::max(pad.top, pad.bottom) < inputs[0].height && std::max(pad.left, pad.right) < inputs[0].width),
            "the image is too small for the layer " + layer.name);
    return {inputs[0].height + pad.top + pad.bottom, inputs[0].width + pad.left + pad.right};
}

// The pixel of `count` that stands for pixel i, which may lie outside.
int inside(Kind kind, int i, int count) {
    if (kind == Kind::pad_edge) return std::clamp(i, 0, count - 1);
    return i < 0 ? -i : i >= count ? 2 * (count - 1) - i : i;
}

// Mirroring goes back from the border on: rows before it stay needed until the end, rows behind it are needed at once.
RowRange rows(const Op& op, size_t, const ResultRows& asked) {
    const auto& pad = op.layer->as<Pad>();
    const int height = asked.input_height, first = asked.first - pad.top, last = asked.last - pad.top;
    if (op.kind == Kind::pad_edge) return {std::clamp(first, 0, height - 1), std::clamp(last, 1, height)};
    return {std::min(std::max(first, 0), height - 1 - pad.bottom), std::max(std::min(last, height), pad.top + 1)};
}

class PadWork : public Work {
public:
    PadWork(const Op& op, Operands operands)
        : kind_(op.kind), top_(op.layer->as<Pad>().top), in_(operands.inputs[0]), out_(operands.output) {
        for (int x = 0; x < out_.width(); ++x)
            columns_.push_back(in_.buffer->columns[size_t(inside(kind_, x - op.layer->as<Pad>().left, in_.width()))]);
    }

    void run(int first, int last, float*) override {
        const auto& places = out_.buffer->columns;
        for (int y = first; y < last; ++y)
            for (int c = 0; c < out_.channels; ++c) {
                const Real* from = in_.row<Real>(inside(kind_, y - top_, in_.height())) + size_t(c) * in_.stride();
                Real* to = out_.row<Real>(y) + size_t(c) * out_.stride();
                for (size_t x = 0; x < columns_.size(); ++x) to[places[x]] = from[columns_[x]];
            }
    }

private:
    Kind kind_;
    int top_;
    View in_, out_;
    std::vector<int> columns_;  // where in a line of the input every column of the result lies
};

Operator pad(const char* name) {
    Operator row{name, 1, 1, read, make_plain<PadWork>, size, rows};
    row.reframes = true;
    return row;
}

}  // namespace

Operator pad_edge_operator();
Operator pad_edge_operator() { return pad("PadEdge"); }

Operator pad_reflect_operator();
Operator pad_reflect_operator() { return pad("PadReflect"); }

}  // namespace sparsr::SPARSR_REAL
