// What the process takes from the heap through `new`, to the byte: repeatable where resident pages are not.
#pragma once

#include <cstddef>

size_t heap_peak();
