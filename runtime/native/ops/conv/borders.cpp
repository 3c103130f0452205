#include "ops/conv/borders.h"

#include <algorithm>
#include <map>
#include <utility>

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
    for (const Border* border : rows_)
        for (int y = first; y < last; ++y)
            if (is_at(border->row, y, height)) correct_row(*border, y);
    for (const Pixels& pixels : pixels_) {
        const int row = pixels.border->row;
        const int begin = row > 0 ? std::max(first, height - 1) : first, end = row < 0 ? std::min(last, 1) : last;
        for (int x = 0; x < width && begin < end; ++x)
            if (is_at(pixels.border->column, x, width)) correct_pixels(pixels, begin, end, x);
    }
}

Borders::Pixels Borders::pack(const Border& border) const {
    std::map<std::pair<int, int>, size_t> places;  // of channel and column
    for (const Weight& weight : border.weights) places[{weight.channel, weight.column}];
    Pixels pixels{&border, {}, {}};
    for (auto& [place, index] : places) {
        index = pixels.places.size();
        pixels.places.push_back({uint16_t(place.first), 0, uint8_t(place.second), 0});
    }
    pixels.weights.resize(size_t(op_.layer->kernel_h) * places.size() * width_);
    for (size_t o = 0; o < border.bias.size(); ++o)
        for (size_t i = border.first[o]; i < border.first[o + 1]; ++i) {
            const Weight& weight = border.weights[i];
            const size_t place = weight.row * places.size() + places[{weight.channel, weight.column}];
            pixels.weights[place * width_ + o] = weight.value;
        }
    return pixels;
}

// Row by row of the kernel, whose weights then stay in the first cache for all pixels.
void Borders::correct_pixels(const Pixels& pixels, int first, int last, int x) const {
    const int kernel = op_.layer->kernel_h;
    const size_t places = pixels.places.size(), rows = size_t(last - first);
    std::vector<float> seen(places * (rows + size_t(kernel) - 1)), sums(rows * width_);
    for (size_t row = 0; row < rows + size_t(kernel) - 1; ++row)
        see(pixels.places, first - op_.layer->top + int(row), x, seen.data() + row * places);
    for (size_t row = 0; row < rows; ++row)
        std::copy(pixels.border->bias.begin(), pixels.border->bias.end(), sums.data() + row * width_);
    for (size_t i = 0; i < size_t(kernel); ++i)
        for (size_t row = 0; row < rows; ++row)
            kernels_.weighted_sum(seen.data() + (row + i) * places, int(places), pixels.weights.data() + i * places * width_,
                                  int(width_), sums.data() + row * width_);
    for (size_t row = 0; row < rows; ++row)
        for (int o = 0; o < op_.layer->outputs; ++o) {
            Real& to = line(o, first + int(row))[out_.buffer->columns[size_t(x * op_.block + o % op_.block)]];
            to = Real(float(to) + sums[row * width_ + size_t(o)]);
        }
}

void Borders::see(const std::vector<Weight>& places, int y, int x, float* seen) const {
    if (y < 0 || y >= in_.height()) return;
    const Real* line = in_.row<Real>(y);
    for (size_t i = 0; i < places.size(); ++i) {
        const int column = x + places[i].column - op_.layer->left;
        if (column < 0 || column >= in_.width()) continue;
        seen[i] = float(line[places[i].channel * in_.stride() + size_t(in_.buffer->columns[size_t(column)])]);
    }
}

void Borders::correct_row(const Border& border, int y) const {
    const int vectors = out_.vectors() / op_.block, lanes = kernels_.lanes;
    const Mapping memory(size_t(vectors * lanes) * sizeof(Real));
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
