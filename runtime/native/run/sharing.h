// Which feature maps lie in the memory of others that have been read.
#pragma once

#include "run/pipeline.h"

namespace sparsr {

// Sets every map's `before`, and lays the buffers out. Capacities are there already.
void share_memory(Pipeline& pipeline);

}  // namespace sparsr
