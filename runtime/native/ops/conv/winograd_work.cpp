// Convolutions by Winograd's minimal filtering.
#include <algorithm>

#include "ops/conv/winograd.h"
#include "ops/conv/work.h"

namespace sparsr::SPARSR_REAL {

namespace {

class WinogradConvWork : public ConvWork {
public:
    WinogradConvWork(const Op& op, Operands operands, const Kernels& kernels)
        : ConvWork(op, std::move(operands), kernels), side_(layer_.kernel_h), inputs_(size_t(in().channels)),
          group_(size_t(kernels.winograd_group)), cover_(winograd_cover(vectors(), side_)) {
        for (size_t i = 0; i < cover_.size(); ++i) {
            const int points = cover_[i].points;
            if (cover_[i].count)
                weights_[i] = operands_.packing->weights(layer_, points, products(points) * plane(layer_.outputs),
                                                         [=](float* to) { pack(points, to); });
        }
    }

    size_t scratch() const override { return planes(inputs_) + planes(winograd_block); }

private:
    // As `WinogradConv` wants them.
    void pack(int points, float* to) const {
        const WinogradFilter winograd(side_, winograd_points, points);
        const auto side = size_t(side_), places = side * side;
        std::vector<double> filter(inputs_ * places);
        for (int first = 0; first < layer_.outputs; first += winograd_block) {
            const int count = std::min(layer_.outputs - first, int(winograd_block));
            for (size_t o = 0; o < size_t(count); ++o) {
                read_filters(size_t(first) + o, filter);
                for (size_t c = 0; c < inputs_; ++c)
                    winograd.transform(&filter[c * places], to + (o / group_ * inputs_ + c) * group_ + o % group_, plane(count));
            }
            to += products(points) * plane(count);
        }
    }

    // Those of an output.
    void read_filters(size_t output, std::vector<double>& filters) const {
        const auto side = size_t(side_);
        std::fill(filters.begin(), filters.end(), 0);
        for (size_t i = layer_.first[output]; i < layer_.first[output + 1]; ++i) {
            const Weight& weight = layer_.weights[i];
            filters[(weight.channel * side + weight.row) * side + weight.column] += weight.value;
        }
    }

    static size_t products(int points) { return size_t(winograd_points * points); }
    // Weights of so many outputs for one product.
    size_t plane(int outputs) const { return (size_t(outputs) + group_ - 1) / group_ * group_ * inputs_; }
    // Floats of all planes of whole blocks of channels.
    size_t planes(size_t channels) const {
        const size_t blocks = (channels + winograd_block - 1) / winograd_block;
        return blocks * products(winograd_points) * winograd_plane * size_t(kernels_.lanes);
    }

    void compute(int first, int rows, float* scratch) override {
        const int step = 2 * winograd_results(winograd_points, side_);
        for (int row = first; row < first + rows; row += step) {
            const int count = std::min(first + rows - row, step);
            const InRow* read = in_rows(row, count);
            const Store to = store(row, count);
            for (size_t i = 0; i < cover_.size(); ++i)
                if (cover_[i].count)
                    kernels_.winograd_conv({side_, cover_[i].points, read, ptrdiff_t(in().stride()), count, vectors(),
                                            cover_[i].first, cover_[i].count, int(inputs_), layer_.outputs, weights_[i],
                                            layer_.bias.data(), scratch, scratch + planes(inputs_), to});
        }
    }

    int side_;
    size_t inputs_, group_;
    WinogradCover cover_;
    const float* weights_[2] = {};  // of the kinds of tiles that lines of this length have
};

}  // namespace

std::unique_ptr<Work> make_winograd_conv(const Op& op, Operands operands, const Kernels& kernels) {
    return std::make_unique<WinogradConvWork>(op, std::move(operands), kernels);
}

}  // namespace sparsr::SPARSR_REAL
