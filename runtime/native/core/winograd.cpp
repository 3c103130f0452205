#include "winograd.h"

namespace sparsr {

namespace {

constexpr double g[6][3] = {{1 / 4.0, 0, 0},
                            {-1 / 6.0, -1 / 6.0, -1 / 6.0},
                            {-1 / 6.0, 1 / 6.0, -1 / 6.0},
                            {1 / 24.0, 1 / 12.0, 1 / 6.0},
                            {1 / 24.0, -1 / 12.0, 1 / 6.0},
                            {0, 0, 1}};

}  // namespace

void winograd_filter(const double* filter, float* to, size_t plane) {
    double rows[6][3];  // g filter
    for (int i = 0; i < 6; ++i)
        for (int j = 0; j < 3; ++j) rows[i][j] = g[i][0] * filter[j] + g[i][1] * filter[3 + j] + g[i][2] * filter[6 + j];
    for (int i = 0; i < 6; ++i)
        for (int j = 0; j < 6; ++j, to += plane)
            *to = float(rows[i][0] * g[j][0] + rows[i][1] * g[j][1] + rows[i][2] * g[j][2]);
}

}  // namespace sparsr
