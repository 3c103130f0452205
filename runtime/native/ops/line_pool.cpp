// The mean or the largest value of every row or every column of a map, which becomes one column or one row.
#include <algorithm>
#include <limits>

#include "ops/make.h"
#include "ops/plain.h"

namespace sparsr::SPARSR_REAL {

namespace {

struct Line : Options {
    bool rows = false;  // that each row becomes one value, not each column
};

int read(Layer& layer, const Entry& entry) {
    auto line = std::make_shared<Line>();
    line->rows = entry.integer("axis", 0, 1) == 1;
    layer.options = std::move(line);
    return entry.channels()[0];
}

bool of_rows(const Layer& layer) { return layer.as<Line>().rows; }

Size size(const Layer& layer, const std::vector<Size>& inputs) {
    return of_rows(layer) ? Size{inputs[0].height, 1} : Size{1, inputs[0].width};
}

RowRange rows(const Op& op, size_t, const ResultRows& asked) {
    return of_rows(*op.layer) ? RowRange{asked.first, asked.last} : RowRange{0, asked.input_height};
}

int vectors(const Op& op, const std::vector<int>& inputs) { return of_rows(*op.layer) ? 0 : inputs[0]; }

class LinePool : public PlainValues {
public:
    using PlainValues::PlainValues;

private:
    float value(int c, int y, int x) const override {
        const bool rows = of_rows(layer_);
        const int count = rows ? in().width() : in().height();
        double sum = 0;
        float best = -std::numeric_limits<float>::infinity();
        for (int i = 0; i < count; ++i) {
            const float seen = rows ? at(in(), c, y, i) : at(in(), c, i, x);
            sum += double(seen);
            best = std::max(best, seen);
        }
        return layer_.kind == Kind::line_max ? best : float(sum / count);
    }
};

Operator line_pool(const char* name) {
    Operator row{name, 1, 1, read, make_plain<LinePool>, size, rows};
    row.vectors = vectors;
    return row;
}

}  // namespace

Operator line_mean_operator();
Operator line_mean_operator() { return line_pool("LineMean"); }

Operator line_max_operator();
Operator line_max_operator() { return line_pool("LineMax"); }

}  // namespace sparsr::SPARSR_REAL
