// The product of a map and another one of the same size, or of one value per channel; maybe with a sum after it.
#include "compiler.h"
#include "error.h"
#include "ops/lines.h"
#include "ops/make.h"

namespace sparsr::SPARSR_REAL {

namespace {

Size size(const Layer& layer, const std::vector<Size>& inputs) {
    require(inputs[0] == inputs[1] || inputs[1] == Size{1, 1}, layer.name + " joins maps of different sizes");
    return inputs[0];
}

// One value per channel is needed for all rows.
RowRange rows(const Op&, size_t input, const ResultRows& asked) {
    if (input == 1 && asked.input_height != asked.output_height) return {0, asked.input_height};
    return {asked.first, asked.last};
}

// With one factor per line the sum is made value by value, else after the whole line's product.
bool in_place(const Op& op, const Choice&, size_t input, const Surroundings& around) {
    return input == 0 || (input == op.inputs.size() && around.inputs[1]->height < around.output->height);
}

class MulWork : public LineWork {
public:
    using LineWork::LineWork;

private:
    void compute(int c, int y, Real* out) override {
        const Real* x = line(0, c, y);
        if (spread() && operands_.residual.buffer) {
            kernels_.scaled_add(x, n_, first_value(c), residual_line(c, y), out);
        } else if (spread()) {
            kernels_.affine(x, n_, first_value(c), 0, out);
        } else {
            fetch(x + 2 * operands_.inputs[0].stride());
            (op_.gates ? kernels_.gate : kernels_.mul)(x, line(1, c, y), n_, out);
            if (operands_.residual.buffer) kernels_.add(out, residual_line(c, y), n_, out);
        }
    }

    // Begins to load a line that comes soon.
    void fetch(const Real* line) const {
        for (int i = 0; i < n_; i += kernels_.lanes) SPARSR_PREFETCH(line + i);
    }

    bool spread() const {
        const View &one = operands_.inputs[1], &all = operands_.output;
        return one.height() != all.height() || one.width() != all.width();
    }

    float first_value(int c) const {
        const View& view = operands_.inputs[1];
        Real value = view.row<Real>(0)[size_t(c) * view.stride() + size_t(view.buffer->columns[0])];
        if (op_.gates) kernels_.sigmoid(&value, 1, &value);
        return value;
    }
};

}  // namespace

Operator mul_operator();
Operator mul_operator() {
    Operator row{"Mul", 2, 2, read_pair, make_lines<MulWork>, size, rows};
    row.choices = lines_choice;
    row.in_place = in_place;
    return row;
}

}  // namespace sparsr::SPARSR_REAL
