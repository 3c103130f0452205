// A map cut into equal parts along its rows or columns, and maps joined to one again: pixels at other places.
#include <algorithm>

#include "error.h"
#include "ops/make.h"
#include "ops/reals.h"

namespace sparsr::SPARSR_REAL {

namespace {

constexpr int most_parts = 64;

struct Cut : Options {
    bool columns = false;
    int index = 0, count = 1;  // of a part
};

int read_axis(Layer& layer, const Entry& entry, std::shared_ptr<Cut> cut) {
    cut->columns = entry.integer("axis", 0, 1) == 1;
    layer.options = std::move(cut);
    return entry.channels()[0];
}

int read_part(Layer& layer, const Entry& entry) {
    auto cut = std::make_shared<Cut>();
    cut->count = entry.integer("count", 1, most_parts);
    cut->index = entry.integer("index", 0, cut->count - 1);
    return read_axis(layer, entry, std::move(cut));
}

int read_join(Layer& layer, const Entry& entry) {
    for (int channels : entry.channels()) require(channels == entry.channels()[0], "the inputs have different channels");
    return read_axis(layer, entry, std::make_shared<Cut>());
}

Size size_of_part(const Layer& layer, const std::vector<Size>& inputs) {
    const auto& cut = layer.as<Cut>();
    Size size = inputs[0];
    int& side = cut.columns ? size.width : size.height;
    require(side % cut.count == 0, layer.name + " cannot cut " + std::to_string(side) + " pixels into " +
                                       std::to_string(cut.count) + " equal parts");
    side /= cut.count;
    return size;
}

Size size_of_joined(const Layer& layer, const std::vector<Size>& inputs) {
    Size size = size_of_equals(layer, inputs);
    (layer.as<Cut>().columns ? size.width : size.height) *= int(inputs.size());
    return size;
}

RowRange rows_of_part(const Op& op, size_t, const ResultRows& asked) {
    const auto& cut = op.layer->as<Cut>();
    const int above = cut.columns ? 0 : cut.index * (asked.input_height / cut.count);
    return {asked.first + above, asked.last + above};
}

// Of a map above these rows nothing is needed any more, of one below them nothing yet.
RowRange rows_to_join(const Op& op, size_t input, const ResultRows& asked) {
    const int above = op.layer->as<Cut>().columns ? 0 : int(input) * asked.input_height;
    return {std::clamp(asked.first - above, 0, asked.input_height), std::clamp(asked.last - above, 0, asked.input_height)};
}

// Of parts of the width no place is kept.
int vectors(const Op& op, const std::vector<int>& inputs) { return op.layer->as<Cut>().columns ? 0 : inputs[0]; }

class CutWork : public Work {
public:
    CutWork(const Op& op, Operands operands) : cut_(op.layer->as<Cut>()), inputs_(std::move(operands.inputs)), out_(operands.output) {}

    void run(int first, int last, float*) override {
        for (int y = first; y < last; ++y) {
            if (inputs_.size() == 1)
                copy(inputs_[0], y + (cut_.columns ? 0 : cut_.index * out_.height()), cut_.columns ? cut_.index * out_.width() : 0,
                     y, 0);
            else if (cut_.columns)
                for (size_t i = 0; i < inputs_.size(); ++i) copy(inputs_[i], y, 0, y, int(i) * inputs_[i].width());
            else
                copy(inputs_[size_t(y / inputs_[0].height())], y % inputs_[0].height(), 0, y, 0);
        }
    }

private:
    // As many columns as both have.
    void copy(const View& in, int from_row, int from_column, int to_row, int to_column) const {
        const int count = std::min(in.width(), out_.width());
        const int* from = in.buffer->columns.data() + from_column;
        const int* to = out_.buffer->columns.data() + to_column;
        for (int c = 0; c < out_.channels; ++c) {
            const Real* source = in.row<Real>(from_row) + size_t(c) * in.stride();
            Real* target = out_.row<Real>(to_row) + size_t(c) * out_.stride();
            for (int x = 0; x < count; ++x) target[to[x]] = source[from[x]];
        }
    }

    const Cut& cut_;
    std::vector<View> inputs_;
    View out_;
};

}  // namespace

Operator part_operator();
Operator part_operator() {
    Operator row{"Part", 1, 1, read_part, make_plain<CutWork>, size_of_part, rows_of_part, vectors};
    row.reframes = true;
    return row;
}

Operator join_operator();
Operator join_operator() {
    Operator row{"Join", 2, most_parts, read_join, make_plain<CutWork>, size_of_joined, rows_to_join, vectors};
    row.reframes = true;
    return row;
}

}  // namespace sparsr::SPARSR_REAL
