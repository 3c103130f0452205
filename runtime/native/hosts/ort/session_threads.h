// The threads of a session, on which a kernel computes as well.
#pragma once

#include <cstddef>
#include <functional>

#include "hosts/ort/ort_api.h"

namespace sparsr::ort {

// body(0), body(1), ... up to the count, at the same time as far as the session has threads; waits for all.
void parallel_run(Api api, const KernelContext* context, size_t count, const std::function<void(size_t)>& body);

// How many threads the session has, at least 1. ONNX Runtime does not tell: it is tried out, for some milliseconds.
int session_threads(Api api, const KernelContext* context);

}  // namespace sparsr::ort
