// Lets every allocation of a load and a run fail, one after the other: each time there must be an error, and nothing left.
//
//     native_faults MODEL
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c_api.h"

namespace {

constexpr long never = -1;
std::atomic<long> until_failure{never};  // allocations that may yet succeed
std::atomic<long> blocks{0}, mapped{0};

bool fails() {
    long left = until_failure;
    while (left > 0 && !until_failure.compare_exchange_weak(left, left - 1)) {}
    return left == 0 && until_failure.compare_exchange_strong(left, never);
}

void* counted(void* block) {
    blocks += block != nullptr;
    return block;
}

}  // namespace

extern "C" {

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void __libc_free(void*);

void* malloc(size_t size) { return fails() ? nullptr : counted(__libc_malloc(size)); }
void* calloc(size_t count, size_t size) { return fails() ? nullptr : counted(__libc_calloc(count, size)); }
void* realloc(void* block, size_t size) {
    if (fails()) return nullptr;
    void* moved = __libc_realloc(block, size);
    blocks += !block && moved;
    return moved;
}
void free(void* block) {
    blocks -= block != nullptr;
    __libc_free(block);
}

void* mmap(void* place, size_t size, int protection, int flags, int file, off_t offset) noexcept {
    if (fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void* found = reinterpret_cast<void*>(syscall(SYS_mmap, place, size, protection, flags, file, offset));
    if (found != MAP_FAILED && !(flags & MAP_FIXED)) mapped += long(size);
    return found;
}
int munmap(void* place, size_t size) noexcept {
    mapped -= long(size);
    return int(syscall(SYS_munmap, place, size));
}
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) noexcept {
    using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
    static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
    return fails() ? EAGAIN : create(thread, attributes, body, argument);
}

}  // extern "C"

namespace {

constexpr int height = 9, width = 70, scale = 2;
unsigned char input[height * width * 3], output[height * scale * width * scale * 3];

int row_ready(void*, int32_t, const void*) { return 1; }

// Whether all went well; otherwise `error` says what did not.
bool load_and_run(const std::vector<char>& content, char* error, size_t size) {
    sparsr_model* model = sparsr_load(content.data(), content.size(), nullptr, 0, error, size);
    if (!model) return false;
    const sparsr_image in{SPARSR_UINT8, input, width * 3, 3, 1}, out{SPARSR_UINT8, output, width * scale * 3, 3, 1};
    const bool done = sparsr_set_threads(model, 3, error, size) &&
                      sparsr_run(model, &in, height, width, &out, row_ready, nullptr, error, size) == 1 &&
                      sparsr_run(model, &in, height - 1, width, &out, nullptr, nullptr, error, size) == 1;
    sparsr_free(model);
    return done;
}

int open_files() {
    int count = 0;
    for (int file = 0; file < 256; ++file) count += fcntl(file, F_GETFD) != -1;
    return count;
}

}  // namespace

int main(int, char** arguments) {
    std::vector<char> content;
    {
        std::ifstream file(arguments[1], std::ios::binary);
        content.assign(std::istreambuf_iterator<char>(file), {});
    }
    char error[300] = "";
    for (int i = 0; i < 3; ++i)  // what the system keeps for later
        if (!load_and_run(content, error, sizeof error)) return std::fprintf(stderr, "%s\n", error), 1;
    const long blocks_before = blocks, mapped_before = mapped;
    const int files_before = open_files();
    long failures = 0, survived = 0;
    for (bool all = false; !all; ++failures) {
        *error = '\0';
        until_failure = failures;
        const bool done = load_and_run(content, error, sizeof error);
        all = until_failure.exchange(never) != never;
        survived += done && !all;
        if (done == (*error != '\0'))
            return std::fprintf(stderr, "allocation %ld: %s, but the error is '%s'\n", failures, done ? "done" : "failed", error), 1;
        if (blocks != blocks_before || mapped != mapped_before || open_files() != files_before)
            return std::fprintf(stderr, "allocation %ld leaves %ld blocks, %ld bytes mapped and %d files\n", failures,
                                blocks - blocks_before, mapped - mapped_before, open_files() - files_before), 1;
    }
    std::printf("%ld allocations, %ld failures survived\n", failures - 1, survived);
    return 0;
}
