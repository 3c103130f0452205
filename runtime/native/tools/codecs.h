// The picture formats that are read and written by libraries.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "tools/picture.h"

#ifdef SPARSR_PNG
Picture read_png(const std::vector<char>& file, const std::string& path);
std::unique_ptr<RowWriter> png_writer(FILE* file, int width, int height, const std::vector<unsigned char>& profile);
#endif
#ifdef SPARSR_JPEG
Picture read_jpeg(const std::vector<char>& file, const std::string& path);
std::unique_ptr<RowWriter> jpeg_writer(FILE* file, int width, int height, const std::vector<unsigned char>& profile, int quality);
#endif
