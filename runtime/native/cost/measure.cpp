#include "cost/measure.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "ops/masked/masked.h"
#include "ops/operator.h"
#include "system/system.h"

namespace sparsr {

namespace {

constexpr int most_tries = 5;
constexpr double long_enough = 0.02;

// Beyond what a core has for itself; more would be the largest part of the memory that a first run takes.
size_t bytes_beyond_caches() {
    return size_t(std::clamp<int64_t>(2 * system::cache_bytes(), 8 << 20, 16 << 20));
}

// A buffer with all its rows in a memory of its own.
struct Rows {
    Buffer buffer;
    Mapping memory;

    Rows(int channels, int rows, int vectors, const Margin& margin, const KernelSet& kernels, int pixel = 0) {
        buffer.pixel = pixel;
        buffer.channels = channels;
        buffer.height = rows;
        buffer.real_bytes = kernels.real_bytes;
        buffer.lanes = kernels.lanes;
        buffer.vectors = vectors;
        buffer.width = vectors * kernels.lanes;
        buffer.top = margin.top;
        buffer.bottom = margin.bottom;
        buffer.left = margin.left;
        buffer.right = margin.right;
        buffer.capacity = buffer.whole();
        buffer.lay_out();
        memory = Mapping(buffer.bytes());
        buffer.lie_at(memory.data());
        std::fill_n(memory.data(), memory.bytes() / sizeof(float), 0.5f);  // as halves 0 and 1.75
    }

    View view() const { return {&buffer, 0, buffer.channels}; }
};

// Reads memory so that it is in the caches, and what was there is not.
void read_all(const float* data, size_t bytes) {
    float sum = 0;
    for (size_t i = 0; i < bytes / sizeof(float); i += 16) sum += data[i];
    [[maybe_unused]] volatile const float kept = sum;
}

// Floating-point operations per second of the fastest of some calls that do `vectors` multiply-adds each.
template <class Call>
double peak(const KernelSet& kernels, double vectors, Call call) {
    constexpr int tries = 20;
    double best = 1e9;
    for (int i = 0; i < tries; ++i) {
        const double begin = system::thread_seconds();
        call();
        best = std::min(best, system::thread_seconds() - begin);
    }
    return 2 * vectors * kernels.lanes / best;
}

double peak_in_place(void (*multiply_adds)(const void*, int64_t, void*), const KernelSet& kernels) {
    constexpr int64_t rounds = 200'000;
    const size_t bytes = peak_sums * size_t(kernels.lanes * kernels.real_bytes);
    const Mapping memory(2 * bytes);  // zeros
    return peak(kernels, double(peak_sums * rounds),
                [&] { multiply_adds(memory.data(), rounds, memory.data<char>() + bytes); });
}

// With vectors from random places of what a tile of a sparse 3x3 convolution of so many channels reads.
double peak_at_taps(int channels, const KernelSet& kernels) {
    constexpr int side = 3, count = 2304;  // as many weights as 2 of 32 are of 64 x 64
    constexpr int64_t rounds = 40;
    const int vector = kernels.lanes * kernels.real_bytes;
    const int line = (kernels.sparse_vectors + side - 1) * vector, row = channels * line;
    std::mt19937 random(0);
    const auto any = [&random](int below) { return int(random() % unsigned(below)); };
    std::vector<ZeroTap> taps(count);
    for (ZeroTap& tap : taps) tap = {any(side) * row + any(channels) * line + any(side) * vector, 0};
    const int sums = sparse_rows * kernels.sparse_vectors;
    const Mapping in(size_t(row * (sparse_rows + side - 1))), out(size_t(sums * vector));
    std::fill_n(in.data<char>(), in.bytes(), char(0));  // pages never written all lie in one place
    return peak(kernels, double(count * rounds * sums),
                [&] { kernels.tap_multiply_adds({in.data(), row, taps.data(), count, rounds, out.data()}); });
}

}  // namespace

Meter::Meter(const KernelSet& kernels) : kernels_(kernels), flush_bytes_(bytes_beyond_caches()) {
    flush_ = Mapping(flush_bytes_);
    std::fill_n(flush_.data(), flush_bytes_ / sizeof(float), 0.5f);  // pages never written all lie in one place
}

double Meter::seconds(const Op& op, const Choice& choice, int channels, int vectors) const {
    Op alone = op;
    alone.residual = -1;
    const Layer& layer = *op.layer;
    const int rows = choice.step / op.block, above = layer.borders.empty() ? 0 : 1;  // few rows are at a border
    const int in_rows = (rows + 2 * above) * layer.stride + layer.kernel_h, first = above * op.block;
    const Rows in(channels, in_rows, vectors * layer.stride, choice.margin, kernels_);
    const Rows out(layer.outputs / (op.block * op.block), choice.step + 2 * first, vectors * op.block, {}, kernels_);
    Packing packing;
    Operands operands{{in.view()}, out.view(), {}, &packing};
    return least(alone, choice, std::move(operands), first) / rows;
}

double Meter::masked_seconds(const Op& op, int vectors, bool important) const {
    const Choice choice = choose_masked(op);
    const Layer& layer = *op.layer;
    const int channels = int(parts_of(op)[0].order.size());
    const int pixel = (channels + kernels_.lanes - 1) / kernels_.lanes * kernels_.lanes;
    const bool fuse = op.kind == Kind::masked_fuse;
    const Rows in(channels, choice.step, vectors, choice.margin, kernels_, pixel);
    const Rows mask(1, choice.step, vectors, {}, kernels_, 1);
    std::memset(mask.memory.data(), important ? (1 << mask_side) - 1 : 0, mask.memory.bytes());
    const Rows out(fuse ? layer.outputs : channels, choice.step, vectors, {}, kernels_, fuse ? 0 : pixel);
    Packing packing;
    Operands operands{{}, out.view(), {}, &packing};
    operands.inputs.assign(fuse ? parts_of(op).size() : 1, in.view());
    operands.inputs.push_back(mask.view());
    return least(op, choice, std::move(operands), 0) / choice.step;
}

double Meter::least(const Op& op, const Choice& choice, Operands operands, int first) const {
    const Buffer& in = *operands.inputs[0].buffer;
    const auto work = operator_of(op.kind, kernels_).work(op, choice, std::move(operands), kernels_);
    const Mapping scratch(std::max<size_t>(work->scratch(), 1) * sizeof(float));
    double best = 1e9, spent = 0;
    for (int i = 0; i < most_tries && spent < long_enough; ++i) {
        read_all(flush_.data(), flush_bytes_);
        read_all(reinterpret_cast<const float*>(in.rows[0]), in.bytes());
        const double begin = system::thread_seconds();
        work->run(first, first + choice.step, scratch.data());
        const double seconds = system::thread_seconds() - begin;
        best = std::min(best, seconds);
        spent += seconds;
    }
    return best;
}

Peak measure_peak(const KernelSet& kernels) {
    constexpr int few_channels = 16, many_channels = 64;  // 28 and 112 KiB with vectors of 64 bytes
    return {peak_in_place(kernels.multiply_adds, kernels), peak_in_place(kernels.load_multiply_adds, kernels),
            peak_at_taps(few_channels, kernels), peak_at_taps(many_channels, kernels)};
}

}  // namespace sparsr
