#include "borders.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace sparsr::SPARSR_REAL {

namespace {

bool is_at(int place, int i, int size) { return place == 0 || i == (place < 0 ? 0 : size - 1); }

}  // namespace

Borders::Borders(const Op& op, const Operands& operands, const Kernels& kernels)
    : op_(op), in_(operands.inputs[0]), out_(operands.output), kernels_(kernels),
      width_((size_t(op.layer->outputs) + sum_width - 1) / sum_width * sum_width) {
    // Vectors of a row read what lies beside the lines.
    const bool vectors = std::min(in_.buffer->left, in_.buffer->right) >= op.layer->left;
    for (const Border& border : op.layer->borders) {
        if (border.column || !vectors)
            pixels_.push_back(pack(border));
        else
            rows_.push_back(&border);
    }
}

void Borders::correct(int first, int last) const {
    const int height = out_.height() / op_.block, width = out_.width() / op_.block;
    for (int y = first; y < last; ++y) {
        for (const Border* border : rows_)
            if (is_at(border->row, y, height)) correct_row(*border, y);
        for (const Pixel& pixel : pixels_) {
            if (!is_at(pixel.border->row, y, height)) continue;
            for (int x = 0; x < width; ++x)
                if (is_at(pixel.border->column, x, width)) correct_pixel(pixel, y, x);
        }
    }
}

Borders::Pixel Borders::pack(const Border& border) const {
    std::map<std::tuple<int, int, int>, size_t> places;
    for (const Weight& weight : border.weights) places[{weight.row, weight.channel, weight.column}];
    Pixel pixel{&border, {}, {}};  // its places row by row
    for (auto& [place, index] : places) {
        index = pixel.places.size();
        pixel.places.push_back({uint16_t(std::get<1>(place)), uint8_t(std::get<0>(place)), uint8_t(std::get<2>(place)), 0});
    }
    pixel.weights.resize(places.size() * width_);
    for (size_t o = 0; o < border.bias.size(); ++o)
        for (size_t i = border.first[o]; i < border.first[o + 1]; ++i) {
            const Weight& weight = border.weights[i];
            pixel.weights[places[{weight.row, weight.channel, weight.column}] * width_ + o] = weight.value;
        }
    return pixel;
}

void Borders::correct_pixel(const Pixel& pixel, int y, int x) const {
    std::vector<float> seen(pixel.places.size()), sums(width_);
    const Real* line = nullptr;  // of channel 0 in row `current`
    int current = -1;
    for (size_t i = 0; i < seen.size(); ++i) {
        const Weight& place = pixel.places[i];
        const int row = y + place.row - op_.layer->top, column = x + place.column - op_.layer->left;
        if (row < 0 || row >= in_.height() || column < 0 || column >= in_.width()) continue;
        if (row != current) line = in_.row<Real>(current = row);
        seen[i] = float(line[place.channel * in_.stride() + size_t(in_.buffer->columns[size_t(column)])]);
    }
    std::copy(pixel.border->bias.begin(), pixel.border->bias.end(), sums.begin());
    kernels_.weighted_sum(seen.data(), int(seen.size()), pixel.weights.data(), int(width_), sums.data());
    for (int o = 0; o < op_.layer->outputs; ++o) {
        Real& to = this->line(o, y)[out_.buffer->columns[size_t(x * op_.block + o % op_.block)]];
        to = Real(float(to) + sums[size_t(o)]);
    }
}

void Borders::correct_row(const Border& border, int y) const {
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

const Real* Borders::line(const Weight& weight, int y) const {
    return in_.row<Real>(y + weight.row - op_.layer->top) + size_t(weight.channel) * in_.stride();
}

Real* Borders::line(int output, int y) const {
    const int block = op_.block;
    return out_.row<Real>(y * block + output / block % block) + size_t(output / (block * block)) * out_.stride();
}

}  // namespace sparsr::SPARSR_REAL
