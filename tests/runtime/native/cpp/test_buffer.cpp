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
    if (!Mapping::can_mirror()) return;
    Buffer ring = buffer(2, 100, 40, 8);
    ring.top = 1;
    ring.capacity = 7;
    ring.lay_out();
    REQUIRE(ring.mirrored());
    ring.allocate();
    for (int y = 0; y < 50; ++y) {
        ring.row<float>(y)[3] = float(y);
        // The period is at least the capacity: these rows are all there.
        for (int old = std::max(0, y - ring.capacity + 1); old <= y; ++old) CHECK(ring.row<float>(old)[3] == float(old));
    }
    // What runs over the end goes on at the beginning.
    const auto period = ptrdiff_t(ring.period);
    auto* start = static_cast<float*>(ring.start);
    start[5] = 42;
    CHECK(start[period + 5] == 42);
}

TEST_CASE("spares give the smallest that fits and are bounded") {
    Spares spares;
    const size_t page = Mapping::page();
    for (size_t pages : {8, 2, 4}) spares.add(Mapping(pages * page, false));
    CHECK(spares.take(3 * page, 100 * page).bytes() == 4 * page);
    CHECK(spares.take(3 * page, 7 * page).data() == nullptr);
    spares.keep(9 * page);
    CHECK(spares.bytes() == 2 * page);  // the oldest goes first
}
