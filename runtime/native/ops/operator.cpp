#include "ops/operator.h"

#include "error.h"

namespace sparsr {

Size size_of_first(const Layer&, const std::vector<Size>& inputs) { return inputs[0]; }

Size size_of_equals(const Layer& layer, const std::vector<Size>& inputs) {
    for (Size size : inputs) require(size == inputs[0], layer.name + " joins maps of different sizes");
    return inputs[0];
}

RowRange rows_in_place(const Op&, size_t, const ResultRows& rows) { return {rows.first, rows.last}; }

int vectors_of_first(const Op& op, const std::vector<int>& inputs) {
    const int stride = op.layer ? op.layer->stride : 1, vectors = inputs[0] * op.block;
    return vectors % stride ? 0 : vectors / stride;
}

std::vector<Choice> plain_choice(const Op&, const Surroundings&) { return {Choice{}}; }

std::vector<Choice> lines_choice(const Op&, const Surroundings&) { return {Choice{Choice::Kernel::lines, 1, {}}}; }

bool never_in_place(const Op&, const Choice&, size_t, const Surroundings&) { return false; }

bool first_in_place(const Op&, const Choice& choice, size_t input, const Surroundings&) {
    return choice.kernel == Choice::Kernel::lines && input == 0;
}

double no_products(const Op&) { return 0; }

int read_nothing(Layer&, const Entry& entry) { return entry.channels()[0]; }

int read_pair(Layer& layer, const Entry& entry) {
    require(entry.channels()[0] == entry.channels()[1], layer.name + " joins different numbers of channels");
    return entry.channels()[0];
}

namespace f32 {
const Operator& operator_of(Kind kind);
extern const Reals reals;
}
const Operator& operator_of(Kind kind) { return f32::operator_of(kind); }

#ifdef SPARSR_ARM64
namespace f16 {
const Operator& operator_of(Kind kind);
extern const Reals reals;
}
const Reals& reals_of(const KernelSet& kernels) { return kernels.half() ? f16::reals : f32::reals; }
const Operator& operator_of(Kind kind, const KernelSet& kernels) {
    return kernels.half() ? f16::operator_of(kind) : f32::operator_of(kind);
}
#else
const Reals& reals_of(const KernelSet&) { return f32::reals; }
const Operator& operator_of(Kind kind, const KernelSet&) { return f32::operator_of(kind); }
#endif

}  // namespace sparsr
