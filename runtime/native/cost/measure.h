// Times kernels on this machine.
#pragma once

#include "graph/op.h"
#include "ops/work.h"

namespace sparsr {

// Times convolutions as they are inside a network: input in the caches, weights not.
class Meter {
public:
    explicit Meter(const KernelSet& kernels);
    // Seconds for one output row with the real weights on lines of `vectors` vectors: the least of several tries.
    double seconds(const Op& op, const Choice& choice, int channels, int vectors) const;
    // The same for a masked block's convolution, all pixels important or none.
    double masked_seconds(const Op& op, int vectors, bool important) const;

private:
    // For the rows of a step, from row `first` on.
    double least(const Op& op, const Choice& choice, Operands operands, int first) const;

    const KernelSet& kernels_;
    Mapping flush_;  // more than the caches hold
    size_t flush_bytes_;
};

// Floating-point operations of one thread per second at best: on registers; with a load for every multiply-add, from one
// place; the same from irregular places, as the sparse convolution has them, of 16 channels (which the first cache holds) and
// of 64 (the second).
struct Peak {
    double arithmetic, loading, near_taps, far_taps;
};
Peak measure_peak(const KernelSet& kernels);

}  // namespace sparsr
