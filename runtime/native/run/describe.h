// What an executor does at the size last prepared, as JSON.
#pragma once

#include <string>

#include "run/executor.h"

namespace sparsr {

std::string describe(const Executor& executor);

}  // namespace sparsr
