// Sets of kernels: one per instruction set and type of activations.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace sparsr {

// Multiply-adds as the sparse convolution does them: for every weight a tile of sparse_rows x sparse_vectors sums, each with a
// vector loaded from where the weight says. All weights, which are 0 for any type of them, `rounds` times.
struct ZeroTap {
    int32_t offset;  // in bytes from `in`
    int32_t zero;
};
struct TapProducts {
    const void* in;
    ptrdiff_t in_row;  // bytes from the inputs of a row of the tile to those of the next one
    const ZeroTap* taps;
    int count;
    int64_t rounds;
    void* out;
};

// What is known of a set without its kernels' types, which are those of `kernels.h`.
struct KernelSet {
    const char* name;
    int lanes;       // activations of a vector; 1: no kernels but the plain ones
    int real_bytes;  // of an activation
    int winograd_group;
    int sparse_vectors;  // of the sparse convolution's tiles, where outputs share no places
    // peak_sums multiply-adds of vectors a round, from as many vectors at `memory` on: on registers, or each loading one.
    void (*multiply_adds)(const void* memory, int64_t rounds, void* out);
    void (*load_multiply_adds)(const void* memory, int64_t rounds, void* out);
    void (*tap_multiply_adds)(const TapProducts&);

    // Half precision, which nobody gets who has not asked for it.
    bool half() const { return real_bytes == 2; }
};

enum { peak_sums = 10, sparse_rows = 2 };

// The best set of this processor; "fp16": the best one of half precision; or the one called `name`. Null if there is
// none such here.
const KernelSet* best_kernels();
const KernelSet* find_kernels(const char* name);

}  // namespace sparsr
