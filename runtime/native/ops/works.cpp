#include "ops/works.h"

namespace sparsr::SPARSR_REAL {

namespace {

const Kernels& typed(const KernelSet& kernels) { return static_cast<const Kernels&>(kernels); }

std::unique_ptr<Work> make_work(const Op& op, const Choice& choice, Operands operands, const KernelSet& kernels) {
    switch (choice.kernel) {
        case Choice::Kernel::plain: return make_plain_work(op, std::move(operands), typed(kernels));
#ifndef SPARSR_HALF
        case Choice::Kernel::masked: return make_masked_work(op, std::move(operands), typed(kernels));
#endif
        case Choice::Kernel::lines: return make_line_work(op, std::move(operands), typed(kernels));
        case Choice::Kernel::resampling: return make_resampling_work(op, std::move(operands), typed(kernels));
        default: return make_conv_work(op, choice, std::move(operands), typed(kernels));
    }
}

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

extern const Works works;
const Works works = {make_work, finish_row, read_row, write_row};

}  // namespace sparsr::SPARSR_REAL
