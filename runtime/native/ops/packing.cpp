#include "ops/packing.h"

#include <algorithm>
#include <cstring>

namespace sparsr {

bool same_weights(const Layer& a, const Layer& b) {
    if (&a == &b) return true;
    // What other operators pack is described by their options.
    if (a.kind != Kind::conv || b.kind != Kind::conv || a.kernel_h != b.kernel_h || a.kernel_w != b.kernel_w) return false;
    static_assert(sizeof(Weight) == sizeof(uint16_t) + 2 * sizeof(uint8_t) + sizeof(float), "compared byte by byte");
    return a.weights.size() == b.weights.size() && a.first == b.first && !a.weights.empty() &&
           !std::memcmp(a.weights.data(), b.weights.data(), a.weights.size() * sizeof(Weight));
}

const float* Packing::weights(const Layer& layer, int part, size_t floats, const std::function<void(float*)>& fill) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto found = std::find_if(packed_.begin(), packed_.end(), [&](const Packed& packed) {
        return packed.part == part && packed.memory.bytes() == floats * sizeof(float) && same_weights(*packed.layer, layer);
    });
    if (found == packed_.end()) {
        Mapping memory(floats * sizeof(float));
        fill(memory.data<float>());
        found = packed_.insert(found, {&layer, part, std::move(memory)});
    }
    return found->memory.data<float>();
}

}  // namespace sparsr
