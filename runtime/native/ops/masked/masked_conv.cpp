#include "ops/masked/masked.h"

#include <cstring>

#include "compiler.h"
#include "ops/conv/winograd.h"

namespace sparsr::f32 {

namespace {

static_assert(mask_side == masked_side);

// With this many important pixels or fewer a tile's pixels are computed one by one.
constexpr int few_pixels = 7;

// How many channels a convolution reads; how many of those, and how many of its results, every pixel has.
struct ChannelCounts {
    int all, from_dense, to_dense;
};

// Which tiles and pixels of a step's rows need what. Those that nobody computes but the next convolution reads are cleared.
class Worklist {
public:
    Worklist(const Operands& operands, ChannelCounts channels, int first, int last)
        : single(size_t(last - first)), operands_(operands), channels_(channels), first_(first), last_(last) {
        rows_.reserve(size_t((last - first + mask_side - 1) / mask_side));  // tiles point at them
        for (int y = first; y < last; y += mask_side) sort(y);
    }

    std::vector<MaskedTile> full;   // tiles with important pixels
    std::vector<MaskedTile> dense;  // tiles whose other pixels have dense channels
    std::vector<std::vector<PixelPlace>> single;  // of every row, important pixels of tiles with few of them

private:
    const View& in() const { return operands_.inputs[0]; }
    const View& mask() const { return operands_.inputs[1]; }
    const View& out() const { return operands_.output; }
    ptrdiff_t pixel() const { return out().buffer->pixel; }
    int right(int x) const { return std::min(x + mask_side, out().width()); }

    // Sorts the tiles of the image rows from `y` on.
    void sort(int y) {
        const int bottom = std::min(y + mask_side, last_), tiles = tiles_of(out().width());
        // Where dense channels come from none, they are 0, and the next layer reads them.
        const bool all_read = channels_.to_dense && !channels_.from_dense;
        std::vector<uint64_t> important(size_t(tiles) + 2);
        std::vector<uint8_t> around(size_t(tiles) + 2);  // anything important above, here or below
        gather(y, bottom, important, around);
        const uint64_t rows = (uint64_t(1) << mask_side * (bottom - y)) - 1;
        rows_.push_back(tile_rows(y));
        for (int i = 0; i < tiles; ++i) {
            const int x = i * mask_side;
            const uint64_t inside = rows & columns(x), here = important[size_t(i) + 1] & inside;
            const MaskedTile tile{&rows_.back(), x * pixel(), here, inside & ~here};
            if (count_bits(here) > few_pixels) {
                full.push_back(tile);
                if (channels_.from_dense < channels_.all) add_dense(tile);
                continue;
            }
            if (all_read || around[size_t(i)] || around[size_t(i) + 1] || around[size_t(i) + 2]) clear(y, x, bottom);
            for (uint64_t bits = here; bits; bits &= bits - 1) {
                const int place = lowest_bit(bits);
                const ptrdiff_t column = (x + place % mask_side) * pixel();
                single[size_t(y + place / mask_side - first_)].push_back({column, column});
            }
            add_dense(tile);
        }
    }

    // Reads the masks of the tiles at the image rows y <= row < bottom, and of those above and below; entry 0 is beside the
    // image. Rows further below may be being computed.
    void gather(int y, int bottom, std::vector<uint64_t>& important, std::vector<uint8_t>& around) const {
        const size_t tiles = important.size() - 2;
        for (int row = std::max(y - mask_side, 0); row < std::min(bottom + mask_side, out().height()); ++row) {
            const uint8_t* bits = mask_row(mask(), row);
            for (size_t i = 0; i < tiles; ++i) around[i + 1] |= bits[i];
            if (row < y || row >= bottom) continue;
            for (size_t i = 0; i < tiles; ++i) important[i + 1] |= uint64_t(bits[i]) << (row - y) * mask_side;
        }
    }

    // The pixels of the tile at column `x` that lie inside the image.
    uint64_t columns(int x) const {
        uint64_t bits = 0;
        for (int row = 0; row < mask_side; ++row) bits |= ((uint64_t(1) << (right(x) - x)) - 1) << row * mask_side;
        return bits;
    }

    void add_dense(MaskedTile tile) {
        tile.whole = 0;
        if (channels_.from_dense && channels_.to_dense && tile.part) dense.push_back(tile);
    }

    void clear(int y, int x, int bottom) const {
        for (int row = y; row < bottom; ++row)
            std::memset(out().row(row) + x * pixel(), 0, size_t((right(x) - x) * pixel()) * sizeof(float));
    }

    // Each for itself: a ring may begin anew between any two. What tiles read below the last row's neighbours does not count,
    // but must be numbers.
    TileRows tile_rows(int y) const {
        TileRows rows;
        for (int i = 0; i < mask_points; ++i) rows.in[i] = in().row(std::min(y - 1 + i, last_));
        for (int i = 0; i < mask_side; ++i) rows.out[i] = out().row(std::min(y + i, last_ - 1));
        return rows;
    }

    const Operands& operands_;
    ChannelCounts channels_;
    int first_, last_;
    std::vector<TileRows> rows_;
};

class MaskedConvWork : public Work {
public:
    MaskedConvWork(const Op& op, Operands operands, const Kernels& kernels)
        : operands_(std::move(operands)),
          kernels_(kernels),
          to_(parts_of(op)[size_t(op.part)]),
          channels_(channel_counts(op)),
          vectors_(vectors_of(channels_.all, kernels.lanes)),
          row_(masked_row(channels_.all)),
          plane_(size_t(channels_.all) * size_t(row_)),
          constants_(zeros(2 * size_t(row_))),
          zeros_(constants_.data()),
          keep_(constants_.data() + row_) {
        std::fill_n(keep_, channels_.to_dense, 1.0f);
        tile_weights_ = operands_.packing->weights(*op.layer, op.part, masked_planes * plane_, [this](float* to) { pack(to); });
    }

    size_t scratch() const override { return 2 * tile_floats(); }

    void run(int first, int last, float* scratch) override {
        const Worklist list(operands_, channels_, first, last);
        const float* others = channels_.from_dense == channels_.all ? keep_ : zeros_;
        run_tiles(list.full, channels_.all, vectors_, others, scratch);
        run_tiles(list.dense, channels_.from_dense, vectors_of(channels_.to_dense, kernels_.lanes), keep_, scratch);
        for (int y = first; y < last; ++y) run_pixels(list.single[size_t(y - first)], y);
    }

private:
    void pack(float* to) const {
        const float* weights = to_.weights.data();
        const WinogradFilter winograd(3, mask_points, mask_points);
        for (size_t place = 0; place < plane_; ++place) {
            double filter[9];
            for (size_t tap = 0; tap < 9; ++tap) filter[tap] = double(weights[tap * plane_ + place]);
            winograd.transform(filter, to + place, plane_);
        }
    }

    // What the kernel needs for a block of tiles, before or after the products.
    size_t tile_floats() const { return masked_planes * size_t((masked_block * vectors_ + 1) * kernels_.lanes); }

    static ChannelCounts channel_counts(const Op& op) {
        const MaskedPart& to = parts_of(op)[size_t(op.part)];
        const auto all = int(to.order.size());
        return {all, op.part ? parts_of(op)[size_t(op.part) - 1].dense : all, to.dense};
    }

    ptrdiff_t pixel() const { return operands_.output.buffer->pixel; }

    void run_tiles(const std::vector<MaskedTile>& tiles, int inputs, int vectors, const float* keep, float* scratch) const {
        kernels_.masked_tiles({tiles.data(), int(tiles.size()), int(pixel()), inputs, vectors, tile_weights_, row_,
                               ptrdiff_t(plane_), keep, scratch, scratch + tile_floats()});
    }

    void run_pixels(const std::vector<PixelPlace>& pixels, int y) const {
        PixelSource sources[9];
        for (int tap = 0; tap < 9; ++tap)
            sources[tap] = {operands_.inputs[0].row(y - 1 + tap / 3) + (tap % 3 - 1) * pixel(), channels_.all,
                            to_.weights.data() + size_t(tap) * plane_};
        kernels_.pixel_products({sources, 9, pixels.data(), int(pixels.size()), vectors_, row_, zeros_, 0,
                                 operands_.output.row(y)});
    }

    Operands operands_;
    const Kernels& kernels_;
    const MaskedPart& to_;
    ChannelCounts channels_;
    int vectors_, row_;
    size_t plane_;  // floats of all inputs' weights for one tap
    Mapping constants_;
    float *zeros_, *keep_;  // of every channel: 0; 1 if it is dense, else 0
    const float* tile_weights_;
};

}  // namespace

std::unique_ptr<Work> make_masked_conv(const Op& op, const Choice&, Operands operands, const KernelSet& kernels) {
    return std::make_unique<MaskedConvWork>(op, std::move(operands), typed(kernels));
}

}  // namespace sparsr::f32
