#pragma once

#include "model/program.h"

namespace sparsr {

struct DepthToSpace : Options {
    int block = 1;  // rows and columns that a pixel becomes
};

}  // namespace sparsr
