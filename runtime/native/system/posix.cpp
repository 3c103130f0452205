// Linux, Android and macOS.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "system/system.h"

#ifdef __APPLE__
#include <malloc/malloc.h>
#include <sys/sysctl.h>
#else
#include <malloc.h>
#include <sched.h>
#endif
#if defined(__aarch64__) && !defined(__APPLE__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace sparsr::system {

namespace {

double seconds(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

#ifdef __APPLE__
int64_t size_of(const char* name) {
    int64_t value = 0;
    size_t bytes = sizeof value;
    return sysctlbyname(name, &value, &bytes, nullptr, 0) ? 0 : value;
}
#endif

}  // namespace

void* take_pages(size_t bytes) {
    void* const pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
    madvise(pages, bytes, MADV_HUGEPAGE);  // a wish: large maps need fewer address translations
#endif
    return pages;
}

void give_back_pages(void* pages, size_t bytes) { munmap(pages, bytes); }

size_t page_bytes() { return size_t(sysconf(_SC_PAGESIZE)); }

uint64_t memory_bytes() {
#ifdef __APPLE__
    return uint64_t(size_of("hw.memsize"));
#else
    return uint64_t(sysconf(_SC_PHYS_PAGES)) * uint64_t(sysconf(_SC_PAGESIZE));
#endif
}

int64_t cache_bytes() {
#if defined(__APPLE__)
    return std::max(size_of("hw.l2cachesize"), size_of("hw.l3cachesize"));
#elif defined(_SC_LEVEL3_CACHE_SIZE)
    return std::max(sysconf(_SC_LEVEL2_CACHE_SIZE), sysconf(_SC_LEVEL3_CACHE_SIZE));
#else
    return 0;
#endif
}

double thread_seconds() { return seconds(CLOCK_THREAD_CPUTIME_ID); }
double process_seconds() { return seconds(CLOCK_PROCESS_CPUTIME_ID); }

const void* map_file(const std::string& path, size_t& bytes) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return nullptr;
    struct stat status {};
    void* found = MAP_FAILED;
    if (fstat(file, &status) == 0 && status.st_size > 0) {
        bytes = size_t(status.st_size);
        found = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    }
    close(file);
    return found == MAP_FAILED ? nullptr : found;
}

void unmap_file(const void* file, size_t bytes) { munmap(const_cast<void*>(file), bytes); }
void forget_file(const void* file, size_t bytes) { madvise(const_cast<void*>(file), bytes, MADV_DONTNEED); }
void make_folder(const std::string& path) { mkdir(path.c_str(), 0777); }
bool replace_file(const std::string& from, const std::string& to) { return std::rename(from.c_str(), to.c_str()) == 0; }

std::string cache_folder() {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    if (cache && *cache == '/') return cache;
    const char* home = std::getenv("HOME");
    return home && *home == '/' ? std::string(home) + "/.cache" : "";
}

std::string processor() {
#ifdef __APPLE__
    char name[256] = "processor";
    size_t bytes = sizeof name;
    sysctlbyname("machdep.cpu.brand_string", name, &bytes, nullptr, 0);
    return name;
#else
    std::string text(8192, '\n');  // the first processor's lines; streams would bring locales into Android's library
    if (FILE* file = std::fopen("/proc/cpuinfo", "r")) {
        text.resize(1 + std::fread(&text[1], 1, text.size() - 1, file));
        std::fclose(file);
    }
    for (const char* name : {"\nmodel name", "\nCPU part"}) {
        const size_t line = text.find(name), value = line == std::string::npos ? line : text.find(": ", line);
        if (value != std::string::npos) return text.substr(value + 2, text.find('\n', value) - value - 2);
    }
    return "processor";
#endif
}

int process_number() { return getpid(); }

bool pin([[maybe_unused]] const std::vector<int>& cpus) {
#ifdef __APPLE__
    return false;  // it has no such call
#else
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int cpu : cpus) CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
#endif
}

const void* library_of(const void* address) {
    Dl_info info{};
    return dladdr(address, &info) ? info.dli_fbase : nullptr;
}

size_t heap_block_bytes(void* block) {
#ifdef __APPLE__
    return malloc_size(block);
#else
    return malloc_usable_size(block);
#endif
}

bool has_half_precision() {
#if defined(__aarch64__) && defined(__APPLE__)
    return true;
#elif defined(__aarch64__)
    return getauxval(AT_HWCAP) & HWCAP_ASIMDHP;
#else
    return false;
#endif
}

}  // namespace sparsr::system
