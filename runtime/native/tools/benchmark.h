// Measures a bundle by itself: flags in the manner of benchmark_model, JSON in the shape of google/benchmark.
#pragma once

#include <string>
#include <vector>

// The exit code: 1 if the output is not that of the bundle's reference. Throws for wrong use.
int benchmark(const std::vector<std::string>& arguments);
// Its flags, a line each.
std::string benchmark_help();
