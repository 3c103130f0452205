#include "ops/conv/winograd.h"

#include <algorithm>

namespace sparsr {

namespace {

// As in `kernels/winograd.h`: 0, 1, -1 and so on; the last point is infinity.
constexpr double values[] = {0, 1, -1, 2, -2, 0.5, -0.5};

int tiles_for(int vectors, int width) { return std::max(vectors + width - 1, 0) / width; }

int columns_read(const WinogradCover& cover) { return cover[0].points * cover[0].count + cover[1].points * cover[1].count; }

}  // namespace

WinogradCover winograd_cover(int vectors, int side) {
    const int wide = winograd_results(winograd_points, side), narrow = winograd_results(winograd_narrow, side);
    const auto cover = [=](int narrows) -> WinogradCover {
        const int wides = tiles_for(vectors - narrows * narrow, wide);
        return {{{winograd_points, 0, wides}, {winograd_narrow, wides * wide, narrows}}};
    };
    WinogradCover best = cover(tiles_for(vectors, narrow));
    if (vectors < wide) return best;
    if (columns_read(cover(0)) <= columns_read(best)) best = cover(0);
    for (int narrows = 1; narrows <= 2; ++narrows)  // three have more products than two wide ones, which reach as far
        if (8 * columns_read(cover(narrows)) <= 7 * columns_read(best)) best = cover(narrows);
    return best;
}

int winograd_rows(int vectors, int side) {
    const WinogradCover cover = winograd_cover(vectors, side);
    return winograd_results(winograd_points, side) * (std::max(cover[0].count, cover[1].count) > 1 ? 1 : 2);
}

size_t winograd_bytes(int vectors, int side, int channels, int outputs) {
    constexpr int most_grouped = 12;  // outputs whose weights lie side by side
    const int grouped = (outputs + most_grouped - 1) / most_grouped * most_grouped;
    size_t bytes = 0;
    for (const WinogradTiles& tiles : winograd_cover(vectors, side))
        if (tiles.count) bytes += size_t(winograd_points * tiles.points) * size_t(channels) * size_t(grouped) * sizeof(float);
    return bytes;
}

double winograd_products(int side, int vectors) {
    const int products = winograd_points * columns_read(winograd_cover(vectors, side));
    return double(products) / (winograd_results(winograd_points, side) * vectors);
}

WinogradFilter::WinogradFilter(int side, int rows, int columns)
    : side_(side), rows_(rows), columns_(columns), down_(matrix(side, rows)), along_(matrix(side, columns)) {}

WinogradFilter::Matrix WinogradFilter::matrix(int side, int points) {
    Matrix g{};
    for (size_t point = 0; point + 1 < size_t(points); ++point) {
        double power = 1;
        for (size_t other = 0; other + 1 < size_t(points); ++other)
            if (other != point) power /= values[point] - values[other];
        for (size_t i = 0; i < size_t(side); ++i, power *= values[point]) g[point][i] = power;
    }
    g[size_t(points) - 1][size_t(side) - 1] = 1;
    return g;
}

void WinogradFilter::transform(const double* filter, float* to, size_t plane) const {
    const auto side = size_t(side_);
    for (size_t row = 0; row < size_t(rows_); ++row) {
        double line[5] = {};  // of G filter
        for (size_t i = 0; i < side; ++i)
            for (size_t j = 0; j < side; ++j) line[j] += down_[row][i] * filter[i * side + j];
        for (size_t column = 0; column < size_t(columns_); ++column, to += plane) {
            double sum = 0;
            for (size_t j = 0; j < side; ++j) sum += along_[column][j] * line[j];
            *to = float(sum);
        }
    }
}

}  // namespace sparsr
