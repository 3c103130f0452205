// Filters as the products of Winograd's F(4x4, 3x3) and F(4x4, 5x5) see them.
#pragma once

#include <cstddef>

namespace sparsr {

constexpr int winograd_tile = 4;
// Rows and columns that a tile reads, and of its products.
constexpr int winograd_spread(int side) { return winograd_tile + side - 1; }

// Products per result of a channel.
constexpr double winograd_products(int side) {
    return double(winograd_spread(side) * winograd_spread(side)) / (winograd_tile * winograd_tile);
}

// G filter G^T of a filter of 3x3 or 5x5: winograd_spread(side)^2 values, `plane` floats apart.
void winograd_filter(const double* filter, int side, float* to, size_t plane);

}  // namespace sparsr
