#include "tools/device.h"

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "system/system.h"

double seconds(clockid_t clock) {
    timespec now;
    clock_gettime(clock, &now);
    return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

unsigned long long bytes_of(const char* path, const char* field) {
    std::ifstream file(path);
    const size_t length = std::strlen(field);
    for (std::string line; std::getline(file, line);)
        if (line.compare(0, length, field) == 0) return std::strtoull(line.c_str() + length, nullptr, 10) * 1024;
    return 0;
}

std::vector<char> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) fail("cannot read " + path);
    std::vector<char> content(size_t(file.tellg()));
    file.seekg(0);
    if (!file.read(content.data(), std::streamsize(content.size()))) fail("cannot read " + path);
    return content;
}

void pin(const std::vector<int>& cpus) {
    if (cpus.empty()) return;
    if (!sparsr::system::pin(cpus)) fail("the process cannot be pinned to these CPUs");
}

double reference_seconds() {
    constexpr int length = 2048, repetitions = 4000;
    static float sums[length], factors[length];
    for (int i = 0; i < length; ++i) sums[i] = 0, factors[i] = 1.0f / float(i + 1);
    const double begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int repeat = 0; repeat < repetitions; ++repeat) {
        const float factor = 1.0f / float(repeat + 1);
        for (int i = 0; i < length; ++i) sums[i] += factor * factors[i];
    }
    const double taken = seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
    volatile float kept = sums[length / 2];
    (void)kept;
    return taken;
}

std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char letter : text) {
        if (letter == '"' || letter == '\\') result += '\\';
        result += static_cast<unsigned char>(letter) < ' ' ? ' ' : letter;
    }
    return result + "\"";
}
