// Graphs: a program as the operations that really run. Residual additions and depth-to-space become part of the
// convolution before them; concatenations and slices become places inside a shared buffer.
#pragma once

#include <vector>

#include "graph/op.h"
#include "model/program.h"

namespace sparsr {

// Where a tensor's channels lie: in the buffer of tensor `root`, from channel `first` on.
struct Place {
    int root;
    int first;
};

// How a tensor lies in its buffer: every channel by itself, or the channels of a pixel side by side; masks as bits.
enum class Layout { lines, pixels, mask };

struct Graph {
    std::vector<Op> ops;                      // in execution order; op 0 is the source
    std::vector<int> channels;                // of every tensor; those of the program come first
    std::vector<Place> places;                // of every tensor
    std::vector<Layout> layouts;              // of every tensor
    std::vector<std::vector<int>> producers;  // ops that write a part of the tensor
    int output = 0;                           // tensor
};

// `program` must outlive the graph. `idle`: for each layer whether it returns its first input as it is, so that it needs
// no operation.
Graph make_graph(const Program& program, const std::vector<bool>& idle);

}  // namespace sparsr
