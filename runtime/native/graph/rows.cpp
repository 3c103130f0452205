#include "graph/rows.h"

#include "ops/operator.h"

namespace sparsr {

RowRange input_rows(const Op& op, size_t input, int input_height, int output_height, int first, int last) {
    const ResultRows rows{first / op.block, (last - 1) / op.block + 1, input_height, output_height};
    if (input == op.inputs.size()) return {rows.first, rows.last};  // the residual comes last
    return operator_of(op.kind).rows(op, input, rows);
}

}  // namespace sparsr
