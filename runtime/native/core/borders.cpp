// Corrections at the borders of an image; see Border.
#include <algorithm>

#include "works.h"

namespace sparsr::SPARSR_REAL {

namespace {

class Corrector {
public:
    Corrector(const Op& op, const Operands& operands, const Kernels& kernels)
        : op_(op), in_(operands.inputs[0]), out_(operands.output), kernels_(kernels) {}

    void add_row(const Border& border, int y) const {
        if (std::min(in_.buffer->left, in_.buffer->right) >= op_.layer->left) return add_vectors(border, y);
        for (int x = 0; x < out_.width() / op_.block; ++x) add_pixel(border, y, x);
    }

    void add_pixel(const Border& border, int y, int x) const {
        for (int o = 0; o < op_.layer->outputs; ++o) {
            float sum = border.bias[size_t(o)];
            for (size_t i = border.first[size_t(o)]; i < border.first[size_t(o) + 1]; ++i) {
                const Weight& weight = border.weights[i];
                const int row = y + weight.row - op_.layer->top, column = x + weight.column - op_.layer->left;
                if (row >= 0 && row < in_.height() && column >= 0 && column < in_.width())
                    sum += weight.value * float(line(weight, y)[in_.buffer->columns[size_t(column)]]);
            }
            Real& to = line(o, y)[out_.buffer->columns[size_t(x * op_.block + o % op_.block)]];
            to = Real(float(to) + sum);
        }
    }

private:
    // Reads what lies beside the lines.
    void add_vectors(const Border& border, int y) const {
        const int vectors = out_.vectors() / op_.block, lanes = kernels_.lanes;
        const Mapping memory(size_t(vectors * lanes) * sizeof(Real), false);
        Real* sums = memory.data<Real>();
        for (int o = 0; o < op_.layer->outputs; ++o) {
            if (border.first[size_t(o)] == border.first[size_t(o) + 1] && border.bias[size_t(o)] == 0) continue;
            std::fill_n(sums, vectors * lanes, Real(border.bias[size_t(o)]));
            for (size_t i = border.first[size_t(o)]; i < border.first[size_t(o) + 1]; ++i) {
                const Weight& weight = border.weights[i];
                kernels_.scaled_add(line(weight, y) + (weight.column - op_.layer->left) * lanes, vectors * lanes, weight.value,
                                    sums, sums);
            }
            Real* to = line(o, y) + o % op_.block * lanes;
            for (int v = 0; v < vectors; ++v, to += op_.block * lanes) kernels_.add(to, sums + v * lanes, lanes, to);
        }
    }

    const Real* line(const Weight& weight, int y) const {
        return in_.row<Real>(y + weight.row - op_.layer->top) + size_t(weight.channel) * in_.stride();
    }
    Real* line(int output, int y) const {
        const int block = op_.block;
        return out_.row<Real>(y * block + output / block % block) + size_t(output / (block * block)) * out_.stride();
    }

    const Op& op_;
    const View &in_, &out_;
    const Kernels& kernels_;
};

bool is_at(int place, int i, int size) { return place == 0 || i == (place < 0 ? 0 : size - 1); }

}  // namespace

void correct_borders(const Op& op, const Operands& operands, int first, int last, const Kernels& kernels) {
    const Corrector corrector(op, operands, kernels);
    const int height = operands.output.height() / op.block, width = operands.output.width() / op.block;
    for (const Border& border : op.layer->borders)
        for (int y = first; y < last; ++y) {
            if (!is_at(border.row, y, height)) continue;
            if (border.column)
                corrector.add_pixel(border, y, border.column < 0 ? 0 : width - 1);
            else
                corrector.add_row(border, y);
        }
}

}  // namespace sparsr::SPARSR_REAL
