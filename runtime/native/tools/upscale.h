// Upscales a picture: the engine without Python.
#pragma once

#include <string>
#include <vector>

// MODEL IN OUT and flags. The exit code. Throws for wrong use and bad input.
int upscale(const std::vector<std::string>& arguments);
// Its flags, a line each.
std::string upscale_help();
