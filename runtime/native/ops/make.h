// Makes works of a class that is constructed from all there is to know.
#pragma once

#include <utility>

#include "ops/operator.h"

namespace sparsr {

template <class T>
std::unique_ptr<Work> make_lines(const Op& op, const Choice&, Operands operands, const KernelSet& kernels) {
    return std::make_unique<T>(op, std::move(operands), kernels);
}

template <class T>
std::unique_ptr<Work> make_plain(const Op& op, const Choice&, Operands operands, const KernelSet&) {
    return std::make_unique<T>(op, std::move(operands));
}

}  // namespace sparsr
