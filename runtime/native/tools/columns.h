// A picture that takes more memory than there is, cut into columns as tall as the picture.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

// Pixels start <= x < stop are read, of whose result keep_start <= x < keep_stop counts.
struct Column {
    int start, stop, keep_start, keep_stop;
    int width() const { return stop - start; }
};

// The fewest columns that take at most `bytes` each, with `halo` pixels of surroundings; all have one width. `need`: the
// bytes of a run on a picture so wide. Throws a sentence if even one pixel with its surroundings takes more.
std::vector<Column> columns(int width, int halo, uint64_t bytes, const std::function<uint64_t(int)>& need);
