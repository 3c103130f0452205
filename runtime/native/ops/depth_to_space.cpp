// block x block channels of a pixel as a block of pixels.
#include "ops/depth_to_space.h"

#include "error.h"
#include "ops/make.h"
#include "ops/plain.h"

namespace sparsr::SPARSR_REAL {

namespace {

int block_of(const Layer& layer) { return layer.as<DepthToSpace>().block; }

int read(Layer& layer, const Entry& entry) {
    auto options = std::make_shared<DepthToSpace>();
    const int block = options->block = entry.integer("block", 1, max_block);
    require(entry.channels()[0] % (block * block) == 0, layer.name + " cannot divide its channels");
    layer.options = std::move(options);
    return entry.channels()[0] / (block * block);
}

Size size(const Layer& layer, const std::vector<Size>& inputs) {
    return {inputs[0].height * block_of(layer), inputs[0].width * block_of(layer)};
}

RowRange rows(const Op& op, size_t, const ResultRows& asked) {
    const int block = block_of(*op.layer);
    return {asked.first / block, (asked.last - 1) / block + 1};
}

int vectors(const Op& op, const std::vector<int>& inputs) { return inputs[0] * block_of(*op.layer); }

std::vector<Choice> choices(const Op& op, const Surroundings&) {
    return {Choice{Choice::Kernel::plain, block_of(*op.layer), {}}};
}

class PlainDepthToSpace : public PlainValues {
public:
    using PlainValues::PlainValues;

private:
    float value(int c, int y, int x) const override {
        const int block = block_of(layer_);
        return at(in(), (c * block + y % block) * block + x % block, y / block, x / block);
    }
};

}  // namespace

Operator depth_to_space_operator();
Operator depth_to_space_operator() {
    return {"DepthToSpace", 1, 1, read, make_plain<PlainDepthToSpace>, size, rows, vectors, choices};
}

}  // namespace sparsr::SPARSR_REAL
