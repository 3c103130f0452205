#include "winograd.h"

namespace sparsr {

namespace {

// As in `kernels/winograd.h`: 0, 1, -1 and so on; the last point is infinity.
constexpr double points[] = {0, 1, -1, 2, -2, 0.5, -0.5};
constexpr int most = 8;

// Of the row of G that belongs to a point, by what its powers are divided.
double divisor(int point, int spread) {
    double product = 1;
    for (int other = 0; other < spread - 1; ++other)
        if (other != point) product *= points[point] - points[other];
    return product;
}

// G x, for `side` values that are `step` apart.
void transform(const double* x, int side, int step, double* to, int to_step) {
    const int spread = winograd_spread(side);
    for (int point = 0; point < spread - 1; ++point) {
        double sum = 0;
        for (int i = side - 1; i >= 0; --i) sum = sum * points[point] + x[i * step];
        to[point * to_step] = sum / divisor(point, spread);
    }
    to[(spread - 1) * to_step] = x[(side - 1) * step];
}

}  // namespace

void winograd_filter(const double* filter, int side, float* to, size_t plane) {
    const int spread = winograd_spread(side);
    double rows[most * most], values[most];  // the first: G filter
    for (int j = 0; j < side; ++j) transform(filter + j, side, side, rows + j, side);
    for (int i = 0; i < spread; ++i) {
        transform(rows + i * side, side, 1, values, 1);
        for (int j = 0; j < spread; ++j, to += plane) *to = float(values[j]);
    }
}

}  // namespace sparsr
