// Statistics of every channel of a whole map.
#pragma once

#include <vector>

#include "ops/reals.h"

namespace sparsr::SPARSR_REAL {

std::vector<double> means(const View& map, const Kernels& kernels);
// Mean squares of the distances from those means: over n values, not n - 1.
std::vector<double> variances(const View& map, const std::vector<double>& means);
std::vector<double> maxima(const View& map);

}  // namespace sparsr::SPARSR_REAL
