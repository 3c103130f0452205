// In which order a pipeline's stages step: who waits for whom, which worker prefers whom, and the order of a single worker.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "run/pipeline.h"

namespace sparsr {

// Of every stage, those whose ability its steps may change.
std::vector<std::vector<size_t>> affected(const Pipeline& pipeline);
// Of every stage the worker that prefers it: consecutive ones of about the same time for every worker.
std::vector<int> homes(const Pipeline& pipeline, int workers);
// A run without its arithmetic in the order of a single worker, the last stage that can take a step first; before each
// step but those that hand rows over `step` is told the stage.
void walk(Pipeline& pipeline, const std::function<void(size_t stage)>& step);

}  // namespace sparsr
