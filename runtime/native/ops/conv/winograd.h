// Filters as the products of Winograd's minimal filtering see them, and how its tiles cover a line.
#pragma once

#include <array>
#include <cstddef>

namespace sparsr {

// A tile reads `points` rows or columns and has this many of results.
constexpr int winograd_results(int points, int side) { return points + 1 - side; }
constexpr int winograd_points = 8;  // rows that the tiles of whole convolutions read
constexpr int winograd_narrow = 6;  // columns that the narrower ones read

// Tiles that read as many columns lie side by side from a vector on.
struct WinogradTiles {
    int points, first, count;
};

using WinogradCover = std::array<WinogradTiles, 2>;

// The tiles with the fewest products for a line of so many vectors, at least as many as a narrow tile has results; of both
// kinds, which need weights each, only where that saves an eighth. The last ones may have to move left.
WinogradCover winograd_cover(int vectors, int side);
// Output rows at once: those of two rows of tiles where the tiles of one would each be the only one to use its weights.
int winograd_rows(int vectors, int side);
// Bytes of a convolution's weights for the tiles of such lines, from above.
size_t winograd_bytes(int vectors, int side, int channels, int outputs);
// Products per result of a channel in such a line; without one in a line of whole tiles.
double winograd_products(int side, int vectors = 12);

// G filter G^T of filters of 3x3 or 5x5.
class WinogradFilter {
public:
    WinogradFilter(int side, int rows, int columns);
    // Of one: rows * columns values, `plane` floats apart.
    void transform(const double* filter, float* to, size_t plane) const;

private:
    using Matrix = std::array<std::array<double, 5>, winograd_points>;

    static Matrix matrix(int side, int points);

    int side_, rows_, columns_;
    Matrix down_, along_;  // G for columns and for rows
};

}  // namespace sparsr
