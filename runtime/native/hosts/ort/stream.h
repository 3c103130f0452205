// Operator `sparsr::Stream`: a whole network as one node.
//
// Inputs: a float image [n, c, h, w], then the program's tensors, all constant. Attributes: the program as text, the
// channels of its result, and its scale (0: sizes follow no such rule).
#pragma once

#include "hosts/ort/ort_api.h"

namespace sparsr::ort {

constexpr const char *program_attribute = "program", *channels_attribute = "channels", *scale_attribute = "scale";
constexpr int64_t max_scale = 64;

Status* create_stream(const CustomOp*, Table table, const KernelInfo* info, void** kernel);
Status* run_stream(void* kernel, KernelContext* context);
void destroy_stream(void* kernel);

// The result's shape as far as the image's is known; sizes may be names.
Status* infer_stream(Api api, ShapeContext* context);

}  // namespace sparsr::ort
