// What the C++ library of Debian's arm64 packages asks of glibc and Android's C library does not have, or has otherwise.
// Only for builds without the NDK: Debian's libc++ is linked in whole, and what it cannot find in Android 7 (API level 24)
// it finds here. The two agree in all else that the engine uses: the kernel's structures, and threads' objects, of which
// glibc's are as large or larger and begin as zeros.
#include <elf.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>

extern "C" {

// Of Android's C library.
int* __errno();
char* __gnu_strerror_r(int number, char* text, size_t size);
void __cxa_finalize(void*);

int* __errno_location() { return __errno(); }
char* __wrap_strerror_r(int number, char* text, size_t size) { return __gnu_strerror_r(number, text, size); }

// The numbers of sysconf's questions differ; so does what may be asked.
long __wrap_sysconf(int question) {
    struct sysinfo memory;
    cpu_set_t cores;
    long count = 0;
    switch (question) {
        case _SC_PAGESIZE: return long(getauxval(AT_PAGESZ));
        case _SC_PHYS_PAGES:
            return sysinfo(&memory) ? -1 : long(uint64_t(memory.totalram) * memory.mem_unit / getauxval(AT_PAGESZ));
        case _SC_NPROCESSORS_ONLN:
            if (sched_getaffinity(0, sizeof cores, &cores)) return 1;
            for (unsigned core = 0; core < 8 * sizeof cores; ++core) count += CPU_ISSET(core, &cores) != 0;
            return count;
        default: return -1;
    }
}

// From Android 9 on.
void* aligned_alloc(size_t alignment, size_t size) {
    void* place = nullptr;
    const size_t least = alignment < sizeof(void*) ? sizeof(void*) : alignment;
    return posix_memalign(&place, least, size) ? nullptr : place;
}

// From Android 11 on: here the deadline is carried over to the clock that conditions wait by.
int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* deadline) {
    constexpr int64_t second = 1'000'000'000;
    const auto nanoseconds = [](const timespec& time) { return int64_t(time.tv_sec) * second + time.tv_nsec; };
    timespec now, other;
    clock_gettime(clock, &now);
    clock_gettime(CLOCK_REALTIME, &other);
    const int64_t until = nanoseconds(other) + nanoseconds(*deadline) - nanoseconds(now);
    const timespec at{time_t(until / second), long(until % second)};
    return pthread_cond_timedwait(condition, mutex, &at);
}

int bcmp(const void* one, const void* other, size_t size) { return memcmp(one, other, size); }

// The checked variants of printing, and what fails in a library.
int __vfprintf_chk(FILE* file, int, const char* format, va_list arguments) { return vfprintf(file, format, arguments); }
int __fprintf_chk(FILE* file, int level, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int written = __vfprintf_chk(file, level, format, arguments);
    va_end(arguments);
    return written;
}
void __assert_fail(const char*, const char*, unsigned, const char*) { abort(); }
void __stack_chk_fail() { abort(); }
uintptr_t __stack_chk_guard = 0x595e9fbd94fda766;

// Atomic additions as calls of functions: older processors' and newer ones' instructions are both in libgcc, not here.
uint32_t __aarch64_ldadd4_acq_rel(uint32_t value, uint32_t* at) { return __atomic_fetch_add(at, value, __ATOMIC_ACQ_REL); }
uint64_t __aarch64_ldadd8_acq_rel(uint64_t value, uint64_t* at) { return __atomic_fetch_add(at, value, __ATOMIC_ACQ_REL); }
uint64_t __aarch64_ldadd8_relax(uint64_t value, uint64_t* at) { return __atomic_fetch_add(at, value, __ATOMIC_RELAXED); }

// The exceptions under way of a thread. The C++ library keeps them in thread-local storage, which Android's loader knows
// from Android 10 on.
static pthread_key_t exceptions;
__attribute__((constructor(101))) static void make_exceptions() { pthread_key_create(&exceptions, free); }
void* __cxa_get_globals_fast() { return pthread_getspecific(exceptions); }
void* __cxa_get_globals() {
    void* globals = pthread_getspecific(exceptions);
    if (!globals) {
        globals = calloc(1, 2 * sizeof(void*));
        if (!globals) abort();
        pthread_setspecific(exceptions, globals);
    }
    return globals;
}

// What a library's begin and end are made of.
void* __dso_handle = &__dso_handle;
__attribute__((destructor)) static void finish() { __cxa_finalize(&__dso_handle); }

}  // extern "C"
