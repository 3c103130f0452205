// Operator `SparsrStream`: a whole network as one node. Inputs: a float image [n, h, w, c], and the bytes of a
// model.safetensors, constant.
#pragma once

#include "hosts/tflite/tflite_api.h"

namespace sparsr::tflite {

const Registration* stream_registration();

}  // namespace sparsr::tflite
