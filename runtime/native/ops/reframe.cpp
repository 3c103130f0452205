// Padding to even sides or other multiples and cropping to another map's size: the pixel at the same place, or the nearest one.
#include <algorithm>

#include "error.h"
#include "ops/make.h"
#include "ops/plain.h"

namespace sparsr::SPARSR_REAL {

namespace {

Size even_size(const Layer&, const std::vector<Size>& inputs) {
    return {inputs[0].height + inputs[0].height % 2, inputs[0].width + inputs[0].width % 2};
}

constexpr int most_multiple = 1024;

struct Multiple : Options {
    int rows = 1, columns = 1;
};

int read_multiple(Layer& layer, const Entry& entry) {
    auto multiple = std::make_shared<Multiple>();
    multiple->rows = entry.integer("rows", 1, most_multiple);
    multiple->columns = entry.integer("columns", 1, most_multiple);
    layer.options = std::move(multiple);
    return entry.channels()[0];
}

int rounded_up(int side, int multiple) { return (side + multiple - 1) / multiple * multiple; }

Size multiple_size(const Layer& layer, const std::vector<Size>& inputs) {
    const auto& multiple = layer.as<Multiple>();
    return {rounded_up(inputs[0].height, multiple.rows), rounded_up(inputs[0].width, multiple.columns)};
}

Size size_of_second(const Layer& layer, const std::vector<Size>& inputs) {
    require(inputs[1].height <= inputs[0].height && inputs[1].width <= inputs[0].width,
            layer.name + " cuts out more than there is");
    return inputs[1];
}

RowRange padded_rows(const Op&, size_t, const ResultRows& asked) {
    return {std::min(asked.first, asked.input_height - 1), std::min(asked.last, asked.input_height)};
}

class PlainReframe : public PlainWork {
public:
    using PlainWork::PlainWork;

    void run(int first, int last, float*) override {
        const bool aligned = in().vectors() == out().vectors();
        const int shared = aligned ? std::min(in().width(), out().width()) : 0;
        for (int y = first; y < last; ++y)
            for (int c = 0; c < out().channels; ++c) {
                const int from = std::min(y, in().height() - 1);
                if (aligned) {
                    const Real* source = line(in(), c, from);
                    std::copy(source, source + in().vectors() * in().buffer->lanes, out().row<Real>(y) + size_t(c) * out().stride());
                }
                for (int x = shared; x < out().width(); ++x) put(c, y, x, at(in(), c, from, std::min(x, in().width() - 1)));
            }
    }
};

}  // namespace

Operator pad_to_even_operator();
Operator pad_to_even_operator() {
    Operator row{"PadToEven", 1, 1, read_nothing, make_plain<PlainReframe>, even_size, padded_rows};
    row.view_if_same_size = true;
    return row;
}

Operator pad_to_multiple_operator();
Operator pad_to_multiple_operator() {
    Operator row{"PadToMultiple", 1, 1, read_multiple, make_plain<PlainReframe>, multiple_size, padded_rows};
    row.view_if_same_size = true;
    row.reframes = true;
    return row;
}

Operator crop_operator();
Operator crop_operator() {
    Operator row{"CropLike", 2, 2, read_nothing, make_plain<PlainReframe>, size_of_second};
    row.view_if_same_size = true;
    return row;
}

}  // namespace sparsr::SPARSR_REAL
