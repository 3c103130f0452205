#include <algorithm>
#include <iterator>

#include "error.h"
#include "ops/work.h"

namespace sparsr {

namespace {

constexpr const char* kernel_names[] = {"plain", "lines", "resampling", "sparse", "shared", "dense", "winograd", "masked"};

}  // namespace

const char* kernel_name(Choice::Kernel kernel) { return kernel_names[size_t(kernel)]; }

Choice::Kernel find_kernel(const std::string& name) {
    const auto* found = std::find(std::begin(kernel_names), std::end(kernel_names), name);
    require(found != std::end(kernel_names), "there is no kernel " + name);
    return Choice::Kernel(found - std::begin(kernel_names));
}

}  // namespace sparsr
