// Cameras store pictures as their sensor lies and say in EXIF how to turn them (CIPA DC-008, tag 274).
#pragma once

#include <cstddef>

#include "tools/picture.h"

// 1 to 8 from a block of EXIF, with or without "Exif" before it; 1, upright, if it does not say.
int exif_orientation(const unsigned char* exif, size_t size);
// The picture turned, upright.
Picture upright(Picture picture);
