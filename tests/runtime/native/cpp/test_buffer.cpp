// Where the rows and columns of feature maps lie.
#include <doctest/doctest.h>

#include <set>

#include "run/buffer.h"

using namespace sparsr;

namespace {

Buffer buffer(int channels, int height, int width, int lanes) {
    Buffer result;
    result.channels = channels;
    result.height = height;
    result.width = width;
    result.lanes = lanes;
    result.vectors = (width + lanes - 1) / lanes;
    result.left = result.right = 1;
    return result;
}

}  // namespace

TEST_CASE("every column has a place of its own") {
    for (int lanes : {1, 4, 8, 16})
        for (int width : {1, 7, 64, 100}) {
            Buffer lines = buffer(3, 5, width, lanes);
            lines.lay_out();
            std::set<int> places(lines.columns.begin(), lines.columns.end());
            places.insert(lines.dead.begin(), lines.dead.end());
            CHECK(int(places.size()) == lines.vectors * lanes);
            CHECK(*places.begin() == 0);
            CHECK(*places.rbegin() == lines.vectors * lanes - 1);
            // A neighbour lies a vector further, but for the last vector.
            for (int x = 1; x < width; ++x)
                if (x % lines.vectors) CHECK(lines.columns[size_t(x)] - lines.columns[size_t(x) - 1] == lanes);
        }
}

TEST_CASE("a ring's rows come again") {
    Buffer ring = buffer(2, 100, 40, 8);
    ring.top = 1;
    ring.capacity = 7;
    ring.lay_out();
    REQUIRE(ring.ring());
    const Mapping memory(ring.bytes());
    ring.lie_at(memory.data());
    for (int y = -1; y < 50; ++y) {
        ring.row<float>(y)[3] = float(y);
        // As many rows as it holds are all there.
        for (int old = std::max(-1, y - ring.capacity + 1); old <= y; ++old) CHECK(ring.row<float>(old)[3] == float(old));
    }
}
