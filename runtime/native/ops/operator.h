// The table of operators: all that the engine asks about a kind of layer. Adding one: docs/adding-an-operator.md.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "graph/op.h"
#include "graph/rows.h"
#include "graph/sizes.h"
#include "kernels/kernel_set.h"
#include "kernels/real.h"
#include "model/entry.h"
#include "ops/work.h"

namespace sparsr {

// What an operation touches: the buffers of its inputs, of its output, and of the residual or null.
struct Surroundings {
    const KernelSet& kernels;
    std::vector<const Buffer*> inputs;
    const Buffer* output;
    const Buffer* residual;
    int channels;  // that it reads of the first input
};

// What most operators answer: of the first input's size, rows at the same place, lines as long, the plain kernel, no
// arithmetic worth counting.
Size size_of_first(const Layer& layer, const std::vector<Size>& inputs);
Size size_of_equals(const Layer& layer, const std::vector<Size>& inputs);  // throws if the inputs' sizes differ
RowRange rows_in_place(const Op& op, size_t input, const ResultRows& rows);
int vectors_of_first(const Op& op, const std::vector<int>& inputs);
std::vector<Choice> plain_choice(const Op& op, const Surroundings& around);
std::vector<Choice> lines_choice(const Op& op, const Surroundings& around);
bool never_in_place(const Op& op, const Choice& choice, size_t input, const Surroundings& around);
bool first_in_place(const Op& op, const Choice& choice, size_t input, const Surroundings& around);
double no_products(const Op& op);
int read_nothing(Layer& layer, const Entry& entry);  // as many channels as the first input has
int read_pair(Layer& layer, const Entry& entry);     // and the second as many

struct Operator {
    const char* name;  // in programs
    int least_inputs, most_inputs;
    // Reads what the layer needs and returns how many channels it has; null for what programs cannot name. Throws Error.
    int (*read)(Layer& layer, const Entry& entry);
    // Makes its work for one type of activations.
    std::unique_ptr<Work> (*work)(const Op& op, const Choice& choice, Operands operands, const KernelSet& kernels);
    // Throws Error if the inputs do not fit.
    Size (*size)(const Layer& layer, const std::vector<Size>& inputs) = size_of_first;
    // Of an input, those that rows of the result are computed from.
    RowRange (*rows)(const Op& op, size_t input, const ResultRows& rows) = rows_in_place;
    // Vectors of the result's lines that let every value keep its lane, from those of the inputs; 0 if none do.
    int (*vectors)(const Op& op, const std::vector<int>& inputs) = vectors_of_first;
    // The kernels that it can run on here, one at least.
    std::vector<Choice> (*choices)(const Op& op, const Surroundings& around) = plain_choice;
    // Whether a step reads each place of that input once, just before it writes there.
    bool (*in_place)(const Op& op, const Choice& choice, size_t input, const Surroundings& around) = never_in_place;
    double (*products)(const Op& op) = no_products;  // per pixel of the result
    bool view = false;  // the result is a part of the input, and nothing is to be done
    bool view_if_same_size = false;
    bool reframes = false;  // the result's lines may hold other columns per lane than those of other tensors
};

#define OPERATOR(name) +1
constexpr size_t operator_count = 0
#include "ops/operators.def"
    ;
#undef OPERATOR

// Rows of the table; those for other kernels than float ones differ in their work only.
const Operator& operator_of(Kind kind);
const Operator& operator_of(Kind kind, const KernelSet& kernels);

}  // namespace sparsr
