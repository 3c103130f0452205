// Chooses the instruction set at run time.
#include <cstring>

#ifdef SPARSR_ARM64
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "kernels.h"

namespace sparsr {

#ifdef SPARSR_X86
namespace avx512 { extern const Kernels kernels; }
namespace avx2 { extern const Kernels kernels; }
#endif
#ifdef SPARSR_ARM64
namespace neon { extern const Kernels kernels; }
#else
namespace base { extern const Kernels kernels; }
#endif
namespace plain { extern const Kernels kernels; }

namespace {

struct Set {
    const Kernels* kernels;
    bool (*runs)();
};

bool always() { return true; }

#ifdef SPARSR_ARM64
bool has_neon() { return getauxval(AT_HWCAP) & HWCAP_ASIMD; }
#endif
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
    {&avx512::kernels, has_avx512},
    {&avx2::kernels, has_avx2},
#endif
#ifdef SPARSR_ARM64
    {&neon::kernels, has_neon},
#else
    {&base::kernels, always},
#endif
    {&plain::kernels, always},
};

}  // namespace

const Kernels* best_kernels() {
    for (const Set& set : sets)
        if (set.runs()) return set.kernels;
    return &plain::kernels;
}

const Kernels* find_kernels(const char* name) {
    for (const Set& set : sets)
        if (!std::strcmp(set.kernels->name, name)) return set.runs() ? set.kernels : nullptr;
    return nullptr;
}

}  // namespace sparsr
