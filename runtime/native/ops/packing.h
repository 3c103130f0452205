// Weights in the order in which kernels want them. It does not depend on the size of images, so they are packed once for all
// sizes and for all executors that share a program.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "run/buffer.h"
#include "model/program.h"

namespace sparsr {

class Packing {
public:
    // `floats` floats of a layer's part, filled by `fill`, which finds zeros, when they are first asked for.
    const float* weights(const Layer& layer, int part, size_t floats, const std::function<void(float*)>& fill);

private:
    std::mutex mutex_;
    std::map<std::pair<const Layer*, int>, Mapping> weights_;
};

}  // namespace sparsr
