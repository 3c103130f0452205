#include "ops/masked/masked.h"


namespace sparsr::f32 {

namespace {

// The 1x1 convolution over all results of a block.
class MaskedFuseWork : public Work {
public:
    MaskedFuseWork(const Op& op, Operands operands, const Kernels& kernels)
        : masked_(op.layer->as<Masked>()),
          operands_(std::move(operands)),
          kernels_(kernels),
          vectors_(vectors_of(int(masked_.bias.size()), kernels.lanes)) {
        bias_ = zeros(size_t(vectors_ * kernels.lanes));
        std::copy(masked_.bias.begin(), masked_.bias.end(), bias_.data());
    }

    size_t scratch() const override {
        return size_t(operands_.output.width()) * size_t(vectors_ * kernels_.lanes);
    }

    void run(int first, int last, float* scratch) override {
        const View& out = operands_.output;
        const int row = vectors_ * kernels_.lanes;
        std::vector<PixelPlace> important, others;
        for (int y = first; y < last; ++y) {
            important.clear();
            others.clear();
            const uint8_t* mask = mask_row(operands_.inputs.back(), y);
            const ptrdiff_t pixel = operands_.inputs[0].buffer->pixel;
            for (int x = 0; x < out.width(); ++x)
                (mask[x / mask_side] >> x % mask_side & 1 ? important : others).push_back({x * pixel, ptrdiff_t(x) * row});
            add_up(important, y, true, scratch);
            add_up(others, y, false, scratch);
            kernels_.to_lines(scratch, row, out.vectors(), out.width(), out.channels, ptrdiff_t(out.stride()), out.row(y));
        }
    }

private:
    void add_up(const std::vector<PixelPlace>& pixels, int y, bool all, float* to) const {
        const int row = masked_row(int(masked_.bias.size()));
        std::vector<PixelSource> sources;
        const float* weights = masked_.fuse.data();
        for (size_t i = 0; i < masked_.parts.size(); ++i) {
            const MaskedPart& part = masked_.parts[i];
            const int inputs = all ? int(part.order.size()) : part.dense;
            if (inputs) sources.push_back({operands_.inputs[i].row(y), inputs, weights});
            weights += part.order.size() * size_t(row);
        }
        kernels_.pixel_products({sources.data(), int(sources.size()), pixels.data(), int(pixels.size()), vectors_, row,
                                 bias_.data(), 1, to});
    }

    const Masked& masked_;
    Operands operands_;
    const Kernels& kernels_;
    int vectors_;
    Mapping bias_;
};

}  // namespace

std::unique_ptr<Work> make_masked_fuse(const Op& op, const Choice&, Operands operands, const KernelSet& kernels) {
    return std::make_unique<MaskedFuseWork>(op, std::move(operands), typed(kernels));
}

}  // namespace sparsr::f32
