// How the kernels of a program are chosen.
#pragma once

#include <map>
#include <string>

#include "ops/work.h"

namespace sparsr {

struct Planning {
    bool measure = false;
    std::map<std::string, Choice::Kernel> pinned;  // of layers by name, as far as they can run on it
};

// "measure", "estimate", a description's JSON ("operations" with "layer" and "kernel"), or the name of a file with it;
// null for the environment variable SPARSR_PLAN, or else "measure". Throws Error.
Planning read_planning(const char* text);

}  // namespace sparsr
