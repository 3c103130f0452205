// Convolutions: how they are read and which kernels they run on.
#pragma once

#include "ops/operator.h"
#include "ops/reals.h"

namespace sparsr {

int read_conv(Layer& layer, const Entry& entry);
// The fast kernels for a convolution of `channels` channels of a buffer, whose lanes stay where they are; without any it runs
// plainly.
std::vector<Choice> conv_choices(const Op& op, int channels, const Buffer& input);

namespace SPARSR_REAL {

std::unique_ptr<Work> make_plain_conv(const Op& op, Operands operands, const Kernels& kernels);
std::unique_ptr<Work> make_sparse_conv(const Op& op, Operands operands, const Kernels& kernels);
std::unique_ptr<Work> make_shared_conv(const Op& op, Operands operands, const Kernels& kernels);
std::unique_ptr<Work> make_dense_conv(const Op& op, Operands operands, const Kernels& kernels);
std::unique_ptr<Work> make_winograd_conv(const Op& op, Operands operands, const Kernels& kernels);

}  // namespace SPARSR_REAL

}  // namespace sparsr
