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

}  // namespace sparsr
