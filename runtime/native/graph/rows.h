// Which rows of its inputs an operation reads.
#pragma once

#include "graph/op.h"

namespace sparsr {

// Rows first <= y < last, maybe outside of the image.
struct RowRange {
    int first, last;
};

// Rows of a result, before depth-to-space, and the heights of the input asked about and of the result.
struct ResultRows {
    int first, last, input_height, output_height;
};

RowRange input_rows(const Op& op, size_t input, int input_height, int output_height, int first, int last);

}  // namespace sparsr
