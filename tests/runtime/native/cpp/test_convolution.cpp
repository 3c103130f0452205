// Every kernel of every instruction set against the sum that defines a convolution.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "ops/packing.h"
#include "programs.h"
#include "run/executor.h"

using namespace sparsr;
using namespace sparsr::testing;

namespace {

double largest_difference(const Chain& chain, const KernelSet& kernels, Choice::Kernel kernel, int height, int width) {
    const Picture image = noise(chain.program().input_channels, height, width);
    const Picture wanted = compute(chain.program(), image);
    Executor executor(std::make_shared<Program>(chain.program()), kernels, size_t(1) << 30);
    Planning planning;
    for (const Layer& layer : chain.program().layers) planning.pinned[layer.name] = kernel;
    executor.set_planning(planning);
    std::vector<float> in(image.values.begin(), image.values.end()), out(wanted.values.size(), -1);
    const Image from{Image::Type::floats, in.data(), width, 1, ptrdiff_t(height) * width};
    const Image to{Image::Type::floats, out.data(), wanted.width, 1, ptrdiff_t(wanted.height) * wanted.width};
    executor.run(from, {height, width}, to, nullptr);
    double worst = 0;
    for (size_t i = 0; i < out.size(); ++i) worst = std::max(worst, std::abs(double(out[i]) - wanted.values[i]));
    return worst;
}

}  // namespace

TEST_CASE("convolutions") {
    using Kernel = Choice::Kernel;
    const struct {
        Kernel kernel;
        double bound;
    } kernels[] = {{Kernel::dense, 5e-6}, {Kernel::sparse, 5e-6}, {Kernel::shared, 5e-6}, {Kernel::winograd, 2e-5}};
    for (const char* set : {"plain", "base", "avx2", "avx512", "neon"}) {
        const KernelSet* found = find_kernels(set);
        if (!found) continue;
        for (const auto& [kernel, bound] : kernels)
            for (const auto& [height, width] : {std::pair(1, 1), std::pair(7, 5), std::pair(19, 83), std::pair(30, 128)}) {
                CAPTURE(std::string(set));
                CAPTURE(std::string(kernel_name(kernel)));
                CAPTURE(height);
                CAPTURE(width);
                CHECK(largest_difference(Chain(3).conv({17}, true).conv({13}), *found, kernel, height, width) < bound);
                CHECK(largest_difference(Chain(3).conv({24}).conv({16, 3, 1, 0.2, 4}, true).add(1).conv({3}), *found, kernel,
                                         height, width) == doctest::Approx(0).epsilon(bound));
            }
    }
}

TEST_CASE("strides and sides") {
    for (const char* set : {"plain", "base", "avx2", "avx512", "neon"}) {
        const KernelSet* found = find_kernels(set);
        if (!found) continue;
        for (int side : {1, 2, 5}) {
            CAPTURE(std::string(set));
            CAPTURE(side);
            const Chain chain = Chain(4).conv({8, side}).conv({8, 3, 2, 0.5}, true).conv({5, side, 2});
            CHECK(largest_difference(chain, *found, Choice::Kernel::sparse, 23, 66) < 5e-6);
        }
    }
}

TEST_CASE("what convolutions with the same weights pack is the same") {
    const Chain chain = Chain(16).conv({16}).again().conv({16});
    const Layer &layer = chain.program().layers[0], &twin = chain.program().layers[1], &other = chain.program().layers[2];
    int fills = 0;
    const auto fill = [&](float* to) { *to = float(++fills); };
    Packing packing;
    const float* packed = packing.weights(layer, 8, 64, fill);
    CHECK(packing.weights(twin, 8, 64, fill) == packed);
    CHECK(fills == 1);
    Layer changed = layer, masked = layer;
    changed.weights.back().value += 1;
    masked.kind = Kind::masked;
    CHECK(*packing.weights(twin, 4, 64, fill) == 2);
    CHECK(*packing.weights(twin, 8, 32, fill) == 3);
    CHECK(*packing.weights(other, 8, 64, fill) == 4);
    CHECK(*packing.weights(changed, 8, 64, fill) == 5);
    CHECK(*packing.weights(masked, 8, 64, fill) == 6);
    CHECK(*packed == 1);
}

TEST_CASE("the same weights are counted once and computed right") {
    const KernelSet* found = find_kernels("base");
    if (!found) return;
    const Chain one = Chain(64).conv({64}), two = Chain(64).conv({64}).again(), three = Chain(64).conv({64}).again().conv({64});
    CHECK(largest_difference(three, *found, Choice::Kernel::winograd, 19, 83) < 1e-3);
    const auto bytes = [&](const Chain& chain) {
        Executor executor(std::make_shared<Program>(chain.program()), *found, size_t(1) << 30);
        Planning planning;
        for (const Layer& layer : chain.program().layers) planning.pinned[layer.name] = Choice::Kernel::winograd;
        executor.set_planning(planning);
        return double(executor.bytes_for({16, 32}));
    };
    // A layer's weights for tiles of 8x8 are 64 products of 64 outputs and inputs, as floats.
    const double weights = 64 * 64 * 64 * 4;
    CHECK(bytes(two) - bytes(one) < 0.5 * weights);
    CHECK(bytes(three) - bytes(two) > 0.5 * weights);
}
