// A map with its outermost pixels repeated around it.
#include <algorithm>

#include "ops/make.h"
#include "ops/plain.h"

namespace sparsr::SPARSR_REAL {

namespace {

struct PadEdge : Options {
    int amount = 0;
};

int read(Layer& layer, const Entry& entry) {
    auto options = std::make_shared<PadEdge>();
    options->amount = entry.integer("amount", 0, max_kernel);
    layer.options = std::move(options);
    return entry.channels()[0];
}

Size size(const Layer& layer, const std::vector<Size>& inputs) {
    const int both = 2 * layer.as<PadEdge>().amount;
    return {inputs[0].height + both, inputs[0].width + both};
}

RowRange rows(const Op& op, size_t, const ResultRows& asked) {
    const int amount = op.layer->as<PadEdge>().amount;
    return {std::clamp(asked.first - amount, 0, asked.input_height - 1),
            std::clamp(asked.last - amount, 1, asked.input_height)};
}

class PlainPadEdge : public PlainValues {
public:
    using PlainValues::PlainValues;

private:
    float value(int c, int y, int x) const override {
        const auto nearest = [amount = layer_.as<PadEdge>().amount](int i, int count) {
            return std::clamp(i - amount, 0, count - 1);
        };
        return at(in(), c, nearest(y, in().height()), nearest(x, in().width()));
    }
};

}  // namespace

Operator pad_edge_operator();
Operator pad_edge_operator() {
    Operator row{"PadEdge", 1, 1, read, make_plain<PlainPadEdge>, size, rows};
    row.reframes = true;
    return row;
}

}  // namespace sparsr::SPARSR_REAL
