#include "graph/sizes.h"

#include <algorithm>
#include <string>

#include "error.h"
#include "ops/operator.h"

namespace sparsr {

namespace {

constexpr int max_side = 1 << 20;

}  // namespace

std::vector<Size> tensor_sizes(const Program& program, Size image) {
    require(std::min(image.height, image.width) >= program.minimum_size,
            "the image is smaller than the " + std::to_string(program.minimum_size) + " pixels a side the network needs");
    require(std::max(image.height, image.width) <= max_side, "the image is too large");
    std::vector<Size> sizes{image};
    for (const Layer& layer : program.layers) {
        std::vector<Size> inputs;
        for (int input : layer.inputs) inputs.push_back(sizes[size_t(input)]);
        sizes.push_back(operator_of(layer.kind).size(layer, inputs));
        require(std::max(sizes.back().height, sizes.back().width) <= max_side, "the result of " + layer.name + " is too large");
    }
    return sizes;
}

}  // namespace sparsr
