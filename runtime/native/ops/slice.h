#pragma once

#include "model/program.h"

namespace sparsr {

// Channels start <= c < stop.
struct Slice : Options {
    int start = 0, stop = 0;
};

}  // namespace sparsr
