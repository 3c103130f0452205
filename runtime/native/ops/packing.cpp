#include "ops/packing.h"

namespace sparsr {

const float* Packing::weights(const Layer& layer, int part, size_t floats, const std::function<void(float*)>& fill) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto found = weights_.find({&layer, part});
    if (found == weights_.end()) {
        Mapping memory(floats * sizeof(float));
        fill(memory.data<float>());
        found = weights_.emplace(std::pair(&layer, part), std::move(memory)).first;
    }
    return found->second.data<float>();
}

}  // namespace sparsr
