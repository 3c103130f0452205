// Filters as the products of Winograd's F(4x4, 3x3) see them.
#pragma once

#include <cstddef>

namespace sparsr {

// G filter G^T of a 3x3 filter: 36 values, `plane` floats apart.
void winograd_filter(const double* filter, float* to, size_t plane);

}  // namespace sparsr
