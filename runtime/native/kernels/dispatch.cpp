// Chooses the instruction set at run time.
#include <cstring>

#include "kernels/kernel_set.h"
#include "system/system.h"

namespace sparsr {

#ifdef SPARSR_X86
namespace avx512 { extern const KernelSet& set; }
namespace avx2 { extern const KernelSet& set; }
#endif
#ifdef SPARSR_ARM64
namespace neon { extern const KernelSet& set; }
namespace neon_fp16 { extern const KernelSet& set; }
#else
namespace base { extern const KernelSet& set; }
#endif
namespace plain { extern const KernelSet& set; }

namespace {

struct Set {
    const KernelSet* kernels;
    bool (*runs)();
};

bool always() { return true; }

#ifdef SPARSR_X86
bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

// Best first; the plain one only on request.
const Set sets[] = {
#ifdef SPARSR_X86
    {&avx512::set, has_avx512},
    {&avx2::set, has_avx2},
#endif
#ifdef SPARSR_ARM64
    {&neon::set, always},
    {&neon_fp16::set, system::has_half_precision},
#else
    {&base::set, always},
#endif
    {&plain::set, always},
};

}  // namespace

const KernelSet* best_kernels() {
    for (const Set& set : sets)
        if (set.runs() && !set.kernels->half()) return set.kernels;
    return &plain::set;
}

const KernelSet* find_kernels(const char* name) {
    const bool any_half = !std::strcmp(name, "fp16");
    for (const Set& set : sets)
        if (any_half ? set.kernels->half() : !std::strcmp(set.kernels->name, name))
            return set.runs() ? set.kernels : nullptr;
    return nullptr;
}

}  // namespace sparsr
