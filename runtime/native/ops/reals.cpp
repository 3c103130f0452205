#include "ops/reals.h"

#include <algorithm>

namespace sparsr::SPARSR_REAL {

void fill_sides(const Buffer& buffer, Real* line, int channels, const Kernels& kernels) {
    if (buffer.pixel || (!buffer.left && !buffer.right)) return;  // beside pixels nothing is ever written
    if (std::max(buffer.left, buffer.right) <= buffer.vectors) {
        kernels.fill_sides(line, channels, ptrdiff_t(buffer.channel_stride), buffer.vectors, buffer.left, buffer.right);
        return;
    }
    const auto value = [&](int c, int x) {
        return x >= 0 && x < buffer.width ? line[size_t(c) * buffer.channel_stride + size_t(buffer.columns[size_t(x)])] : 0;
    };
    const auto fill = [&](int c, int vector) {
        Real* to = line + ptrdiff_t(size_t(c) * buffer.channel_stride) + vector * buffer.lanes;
        for (int lane = 0; lane < buffer.lanes; ++lane) to[lane] = Real(value(c, lane * buffer.vectors + vector));
    };
    for (int c = 0; c < channels; ++c) {
        for (int vector = -buffer.left; vector < 0; ++vector) fill(c, vector);
        for (int vector = buffer.vectors; vector < buffer.vectors + buffer.right; ++vector) fill(c, vector);
    }
}

namespace {

void finish_row(const View& view, int y, const KernelSet& kernels) {
    const Buffer& buffer = *view.buffer;
    Real* row = view.row<Real>(y);
    if (!buffer.dead.empty())
        for (int c = 0; c < view.channels; ++c)
            for (int offset : buffer.dead) row[size_t(c) * view.stride() + size_t(offset)] = 0;
    fill_sides(buffer, row, view.channels, typed(kernels));
}

void read_row(const Image& image, float value_range, const View& to, int y) {
    const auto& columns = to.buffer->columns;
    for (int c = 0; c < to.channels; ++c) {
        Real* line = to.row<Real>(y) + size_t(c) * to.stride();
        const ptrdiff_t base = y * image.row + c * image.channel;
        if (image.type == Image::Type::bytes) {
            const auto* from = static_cast<const unsigned char*>(image.data) + base;
            const float factor = value_range / 255;
            for (size_t x = 0; x < columns.size(); ++x)
                line[columns[x]] = Real(float(from[ptrdiff_t(x) * image.column]) * factor);
        } else {
            const auto* from = static_cast<const float*>(image.data) + base;
            for (size_t x = 0; x < columns.size(); ++x) line[columns[x]] = Real(from[ptrdiff_t(x) * image.column]);
        }
    }
}

void write_row(const View& view, int y, float value_range, const Image& line, const KernelSet& kernels) {
    const auto& columns = view.buffer->columns;
    std::vector<unsigned char> bytes(size_t(view.vectors()) * size_t(kernels.lanes));
    for (int c = 0; c < view.channels; ++c) {
        const Real* from = view.row<Real>(y) + size_t(c) * view.stride();
        if (line.type == Image::Type::bytes) {
            auto* to = static_cast<unsigned char*>(line.data) + c * line.channel;
            typed(kernels).to_bytes(from, int(bytes.size()), 255 / value_range, bytes.data());
            for (size_t x = 0; x < columns.size(); ++x) to[ptrdiff_t(x) * line.column] = bytes[size_t(columns[x])];
        } else {
            auto* to = static_cast<float*>(line.data) + c * line.channel;
            for (size_t x = 0; x < columns.size(); ++x) to[ptrdiff_t(x) * line.column] = from[columns[x]];
        }
    }
}

}  // namespace

extern const Reals reals;
const Reals reals = {finish_row, read_row, write_row};

}  // namespace sparsr::SPARSR_REAL
