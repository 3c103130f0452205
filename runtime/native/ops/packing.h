// Weights in the order in which kernels want them. It does not depend on the size of images, so they are packed once for all
// sizes and for all executors that share a program, and once for all convolutions that have the same.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "run/buffer.h"
#include "model/program.h"

namespace sparsr {

// Whether two layers have the same weights, so that what one kernel packs of them is the same.
bool same_weights(const Layer& a, const Layer& b);

class Packing {
public:
    // `floats` floats of a layer's part, filled by `fill`, which finds zeros, when they are first asked for.
    const float* weights(const Layer& layer, int part, size_t floats, const std::function<void(float*)>& fill);

private:
    struct Packed {
        const Layer* layer;
        int part;
        Mapping memory;
    };

    std::mutex mutex_;
    std::vector<Packed> packed_;
};

}  // namespace sparsr
