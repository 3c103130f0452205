// How many rows every buffer of a pipeline must hold: the whole run without its arithmetic.
#pragma once

#include "run/pipeline.h"

namespace sparsr {

// Sets the buffers' capacities. With several workers there is room for them not to wait for each other.
void rehearse(Pipeline& pipeline, int workers);

}  // namespace sparsr
