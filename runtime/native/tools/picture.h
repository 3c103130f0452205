// Pictures in files: PNG and JPEG where the libraries were there to build with, binary PPM always.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

// 8-bit RGB, row by row without gaps.
struct Picture {
    int width = 0, height = 0;
    std::vector<unsigned char> pixels;

    void resize(int new_width, int new_height);
};

// By its content. Transparent parts become white, 16 bits become 8. Throws a sentence.
Picture read_picture(const std::string& path);
// Throws a sentence if the name's ending is of no format that can be written.
void require_format(const std::string& path);
// By the name's ending; under another name until it is complete. Throws a sentence.
void write_picture(const std::string& path, const Picture& picture, int jpeg_quality);
// The endings that can be written, for people.
std::string picture_formats();
