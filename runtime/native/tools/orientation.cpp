#include "tools/orientation.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace {

constexpr unsigned orientation_tag = 0x0112, short_type = 3;
constexpr size_t entry_bytes = 12;

struct Tiff {
    const unsigned char* data;
    size_t size;
    bool big = false;

    uint32_t number(size_t at, size_t bytes) const {
        uint32_t value = 0;
        for (size_t i = 0; i < bytes; ++i) value |= uint32_t(data[at + i]) << 8 * (big ? bytes - 1 - i : i);
        return value;
    }
};

}  // namespace

int exif_orientation(const unsigned char* exif, size_t size) {
    if (size >= 6 && !std::memcmp(exif, "Exif\0\0", 6)) exif += 6, size -= 6;
    if (size < 8 || (std::memcmp(exif, "II*\0", 4) && std::memcmp(exif, "MM\0*", 4))) return 1;
    const Tiff tiff{exif, size, exif[0] == 'M'};
    const size_t first = tiff.number(4, 4);
    if (first > size || size - first < 2) return 1;
    const size_t count = std::min<size_t>(tiff.number(first, 2), (size - first - 2) / entry_bytes);
    for (size_t i = 0; i < count; ++i) {
        const size_t at = first + 2 + i * entry_bytes;
        if (tiff.number(at, 2) != orientation_tag || tiff.number(at + 2, 2) != short_type) continue;
        const int value = int(tiff.number(at + 8, 2));
        return value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}

Picture upright(Picture picture) {
    // Of the eight: mirrored left to right, upside down; of the last four, after width and height were exchanged.
    static constexpr bool mirrored[] = {0, 1, 1, 0, 0, 1, 1, 0}, down[] = {0, 0, 1, 1, 0, 0, 1, 1};
    const int turn = picture.orientation - 1;
    if (turn == 0) return picture;
    const bool exchanged = turn >= 4;
    Picture result;
    result.profile = std::move(picture.profile);
    result.resize(exchanged ? picture.height : picture.width, exchanged ? picture.width : picture.height);
    unsigned char* to = result.pixels.data();
    for (int y = 0; y < result.height; ++y)
        for (int x = 0; x < result.width; ++x, to += 3) {
            const int across = mirrored[turn] ? result.width - 1 - x : x, along = down[turn] ? result.height - 1 - y : y;
            const int column = exchanged ? along : across, row = exchanged ? across : along;
            std::memcpy(to, &picture.pixels[(size_t(row) * size_t(picture.width) + size_t(column)) * 3], 3);
        }
    return result;
}
