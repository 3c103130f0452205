// Sets of kernels: one per instruction set and type of activations.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace sparsr {

// What is known of a set without its kernels' types, which are those of `kernels.h`.
struct KernelSet {
    const char* name;
    int lanes;       // activations of a vector; 1: no kernels but the plain ones
    int real_bytes;  // of an activation
    int winograd_group;
    // peak_sums multiply-adds of vectors a round, from as many vectors at `memory` on: on registers, or each loading one.
    void (*multiply_adds)(const void* memory, int64_t rounds, void* out);
    void (*load_multiply_adds)(const void* memory, int64_t rounds, void* out);

    // Half precision, which nobody gets who has not asked for it.
    bool half() const { return real_bytes == 2; }
};

enum { peak_sums = 10 };

// The best set of this processor; "fp16": the best one of half precision; or the one called `name`. Null if there is
// none such here.
const KernelSet* best_kernels();
const KernelSet* find_kernels(const char* name);

}  // namespace sparsr
