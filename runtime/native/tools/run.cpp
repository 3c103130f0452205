// Runs a model on one image: sparsr_run MODEL INPUT OUTPUT [--size WxH] [--isa NAME] [--threads N] [--repeat N]
// Without --size images are binary PPM files; with it they are bare float32 values [height][width][channels], the way to
// exact results. Prints one JSON object: sizes, processor time, memory, and the plan as sparsr_describe gives it.
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "../c_api.h"
#include "heap.h"

namespace {

constexpr size_t error_size = 1000;

struct Options {
    std::string model, input, output, isa;
    int width = 0, height = 0, threads = 1, repeat = 1;
};

struct Pixels {
    sparsr_type type = SPARSR_UINT8;
    int height = 0, width = 0, channels = 0;
    std::vector<char> data;

    size_t row_bytes() const { return size_t(width) * size_t(channels) * (type == SPARSR_UINT8 ? 1 : sizeof(float)); }
    sparsr_image image() { return {type, data.data(), ptrdiff_t(width) * channels, channels, 1}; }
};

[[noreturn]] void fail(const std::string& message) { throw std::runtime_error(message); }

std::vector<char> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) fail("cannot read " + path);
    std::vector<char> content(size_t(file.tellg()));
    file.seekg(0);
    if (!file.read(content.data(), ptrdiff_t(content.size()))) fail("cannot read " + path);
    return content;
}

// The next number of a PPM header; comments are not supported.
int header_number(const std::vector<char>& file, size_t& at) {
    while (at < file.size() && std::isspace(static_cast<unsigned char>(file[at]))) ++at;
    long value = 0;
    for (; at < file.size() && std::isdigit(static_cast<unsigned char>(file[at])); ++at) {
        value = value * 10 + (file[at] - '0');
        if (value > 1 << 20) fail("the PPM header has too large a number");
    }
    return int(value);
}

Pixels read_ppm(const std::string& path) {
    const std::vector<char> file = read_file(path);
    if (file.size() < 2 || std::memcmp(file.data(), "P6", 2)) fail(path + " is not a binary PPM file");
    Pixels pixels;
    size_t at = 2;
    pixels.width = header_number(file, at);
    pixels.height = header_number(file, at);
    pixels.channels = 3;
    if (header_number(file, at) != 255) fail(path + " does not have 255 as its largest value");
    ++at;
    const size_t size = pixels.row_bytes() * size_t(pixels.height);
    if (file.size() < at || file.size() - at < size) fail(path + " is cut off");
    pixels.data.assign(file.begin() + ptrdiff_t(at), file.begin() + ptrdiff_t(at + size));
    return pixels;
}

Pixels read_floats(const std::string& path, int height, int width, int channels) {
    Pixels pixels{SPARSR_FLOAT32, height, width, channels, read_file(path)};
    if (pixels.data.size() != pixels.row_bytes() * size_t(height)) fail(path + " does not have the size asked for");
    return pixels;
}

void write_image(const std::string& path, const Pixels& pixels) {
    std::ofstream file(path, std::ios::binary);
    if (pixels.type == SPARSR_UINT8) file << "P6\n" << pixels.width << ' ' << pixels.height << "\n255\n";
    file.write(pixels.data.data(), ptrdiff_t(pixels.data.size()));
    if (!file.flush()) fail("cannot write " + path);
}

Options parse(int count, char** arguments) {
    Options options;
    std::string* const names[] = {&options.model, &options.input, &options.output};
    if (count < 4) fail("usage: sparsr_run MODEL INPUT OUTPUT [--size WxH] [--isa NAME] [--threads N] [--repeat N]");
    for (int i = 0; i < 3; ++i) *names[i] = arguments[i + 1];
    for (int i = 4; i + 1 < count; i += 2) {
        const std::string name = arguments[i];
        const char* value = arguments[i + 1];
        if (name == "--isa") options.isa = value;
        else if (name == "--threads") options.threads = std::atoi(value);
        else if (name == "--repeat") options.repeat = std::max(1, std::atoi(value));
        else if (name != "--size" || std::sscanf(value, "%dx%d", &options.width, &options.height) != 2)
            fail("unknown option " + name + " " + value);
    }
    return options;
}

using Model = std::unique_ptr<sparsr_model, void (*)(sparsr_model*)>;

Model load(const Options& options) {
    char error[error_size];
    const std::vector<char> file = read_file(options.model);
    const char* isa = options.isa.empty() ? nullptr : options.isa.c_str();
    Model model(sparsr_load(file.data(), file.size(), isa, 0, error, error_size), sparsr_free);
    if (!model || !sparsr_set_threads(model.get(), options.threads, error, error_size)) fail(error);
    return model;
}

Pixels result_for(const sparsr_model* model, const Pixels& input, int channels) {
    char error[error_size];
    Pixels result{input.type, 0, 0, channels, {}};
    if (!sparsr_output_size(model, input.height, input.width, &result.height, &result.width, error, error_size)) fail(error);
    result.data.resize(result.row_bytes() * size_t(result.height));
    return result;
}

double processor_seconds() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

// Least processor time of the repetitions.
double run(sparsr_model* model, Pixels& input, Pixels& output, int repeat) {
    char error[error_size];
    double best = 1e30;
    const sparsr_image from = input.image(), to = output.image();
    for (int i = 0; i < repeat; ++i) {
        const double begin = processor_seconds();
        if (!sparsr_run(model, &from, input.height, input.width, &to, nullptr, nullptr, error, error_size)) fail(error);
        best = std::min(best, processor_seconds() - begin);
    }
    return best;
}

void report(const sparsr_model* model, const Pixels& output, double seconds) {
    sparsr_info info;
    sparsr_get_info(model, &info);
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    std::string plan(sparsr_describe(model, nullptr, 0) + 1, '\0');
    sparsr_describe(model, plan.data(), plan.size());
    std::printf("{\"width\": %d, \"height\": %d, \"channels\": %d, \"seconds\": %.6f, \"feature_map_bytes\": %llu, "
                "\"heap_bytes\": %zu, \"resident_bytes\": %llu, \"plan\": %s}\n",
                output.width, output.height, output.channels, seconds, static_cast<unsigned long long>(info.buffer_bytes),
                heap_peak(), static_cast<unsigned long long>(usage.ru_maxrss) * 1024, plan.c_str());
}

void work(const Options& options) {
    const Model model = load(options);
    sparsr_info info;
    sparsr_get_info(model.get(), &info);
    Pixels input = options.width ? read_floats(options.input, options.height, options.width, info.input_channels)
                                 : read_ppm(options.input);
    if (input.channels != info.input_channels) fail("the model does not take 3 channels");
    Pixels output = result_for(model.get(), input, info.output_channels);
    const double seconds = run(model.get(), input, output, options.repeat);
    if (output.type == SPARSR_UINT8 && output.channels != 3) fail("the result does not have 3 channels: use --size");
    write_image(options.output, output);
    report(model.get(), output, seconds);
}

}  // namespace

int main(int count, char** arguments) {
    try {
        work(parse(count, arguments));
        return 0;
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "sparsr_run: %s\n", exception.what());
        return 1;
    }
}
