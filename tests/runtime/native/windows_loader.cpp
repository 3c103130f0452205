// Loads libsparsr.dll as Python's ctypes does on Windows, looks up the functions named and runs a model on floats:
// windows_loader DLL MODEL WIDTH HEIGHT IN OUT FUNCTION...
#include <windows.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

#include "c_api.h"

namespace {

std::vector<char> read(const char* name) {
    std::ifstream file(name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

#define FIND(library, name) reinterpret_cast<decltype(name)*>(reinterpret_cast<void*>(GetProcAddress(library, #name)))

}  // namespace

int main(int count, char** arguments) {
    char path[MAX_PATH];
    GetFullPathNameA(arguments[1], MAX_PATH, path, nullptr);
    const HMODULE library =
        LoadLibraryExA(path, nullptr, LOAD_LIBRARY_SEARCH_DEFAULT_DIRS | LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR);
    if (!library) return std::fprintf(stderr, "cannot load %s: error %lu\n", path, GetLastError()), 1;
    for (int i = 7; i < count; ++i)
        if (!GetProcAddress(library, arguments[i])) return std::fprintf(stderr, "no %s\n", arguments[i]), 1;
    char error[1000] = "";
    const std::vector<char> content = read(arguments[2]), pixels = read(arguments[5]);
    sparsr_model* model = FIND(library, sparsr_load)(content.data(), content.size(), nullptr, 0, error, sizeof error);
    if (!model) return std::fprintf(stderr, "%s\n", error), 1;
    sparsr_info info;
    FIND(library, sparsr_get_info)(model, &info);
    const int width = std::atoi(arguments[3]), height = std::atoi(arguments[4]);
    int32_t out_height = 0, out_width = 0;
    FIND(library, sparsr_output_size)(model, height, width, &out_height, &out_width, error, sizeof error);
    std::vector<float> result(size_t(out_height) * size_t(out_width) * size_t(info.output_channels));
    const auto image = [](const void* data, int columns, int channels) {
        return sparsr_image{SPARSR_FLOAT32, const_cast<void*>(data), ptrdiff_t(columns) * channels, channels, 1};
    };
    const sparsr_image in = image(pixels.data(), width, info.input_channels);
    const sparsr_image out = image(result.data(), out_width, info.output_channels);
    if (FIND(library, sparsr_run_images)(model, 1, &in, height, width, &out, nullptr, nullptr, error, sizeof error) != 1)
        return std::fprintf(stderr, "%s\n", error), 1;
    FIND(library, sparsr_free)(model);
    std::ofstream(arguments[6], std::ios::binary)
        .write(reinterpret_cast<const char*>(result.data()), std::streamsize(result.size() * sizeof(float)));
    return 0;
}
