#include "ops/masked/masked.h"

#include <cstring>

namespace sparsr::f32 {

namespace {

class MaskWork : public Work {
public:
    explicit MaskWork(Operands operands) : operands_(std::move(operands)), important_(size_t(operands_.output.height())) {}

    void run(int first, int last, float*) override {
        const View& logits = operands_.inputs[0];
        for (int y = first; y < last; ++y) {
            const float *unimportant = logits.row(y), *important = unimportant + logits.stride();
            auto* mask = reinterpret_cast<uint8_t*>(operands_.output.row(y));
            std::memset(mask, 0, size_t(tiles_of(logits.width())));
            const auto& columns = logits.buffer->columns;
            int count = 0;
            for (size_t x = 0; x < columns.size(); ++x) {
                const bool larger = important[columns[x]] > unimportant[columns[x]];
                mask[x / mask_side] |= uint8_t(larger << x % mask_side);
                count += larger;
            }
            important_[size_t(y)] = count;
        }
    }

    int64_t important_pixels() const override {
        int64_t sum = 0;
        for (int count : important_) sum += count;
        return sum;
    }

private:
    Operands operands_;
    std::vector<int> important_;  // of every row
};

class ToPixelsWork : public Work {
public:
    ToPixelsWork(Operands operands, const Kernels& kernels) : operands_(std::move(operands)), kernels_(kernels) {}

    void run(int first, int last, float*) override {
        const View &in = operands_.inputs[0], &out = operands_.output;
        for (int y = first; y < last; ++y)
            kernels_.to_pixels(in.row(y), ptrdiff_t(in.stride()), in.vectors(), in.width(), in.channels, out.buffer->pixel,
                               out.row(y));
    }

private:
    Operands operands_;
    const Kernels& kernels_;
};

}  // namespace

std::unique_ptr<Work> make_mask(const Op&, const Choice&, Operands operands, const KernelSet&) {
    return std::make_unique<MaskWork>(std::move(operands));
}

std::unique_ptr<Work> make_to_pixels(const Op&, const Choice&, Operands operands, const KernelSet& kernels) {
    return std::make_unique<ToPixelsWork>(std::move(operands), typed(kernels));
}

}  // namespace sparsr::f32
