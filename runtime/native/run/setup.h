// From a program and an image size to a pipeline: kernels chosen, steps aligned, buffers with their shapes. How many rows
// they hold is the rehearsal's to find.
#pragma once

#include "cost/costs.h"
#include "model/program.h"
#include "run/pipeline.h"
#include "run/planning.h"

namespace sparsr {

// `program` must outlive the pipeline. Throws Error if it cannot take images of that size.
Pipeline make_pipeline(const Program& program, const KernelSet& kernels, const Planning& planning, Costs& costs, Size size);

// Lets layers whose patterns are shared take twice as many rows a step, in a rehearsed pipeline; whether any does. Two of the
// rows that a step reads were read by the one before, and a network's maps have left the second cache since then: where
// there is little to do for what is read, longer steps fetch them half as often. Where some map holds most of its rows, as with
// attention, that gains nothing, and other maps might no longer lie in its memory.
bool lengthen_steps(Pipeline& pipeline);

}  // namespace sparsr
