// Runs a model on one image: sparsr_run MODEL INPUT OUTPUT [--size WxH] [--isa NAME] [--threads N] [--repeat N]
// Without --size images are binary PPM files; with it they are bare float32 values [height][width][channels], the way to
// exact results. Prints one JSON object: sizes, processor time, memory, and the plan as sparsr_describe gives it.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "c_api.h"
#include "tools/heap.h"

namespace {

constexpr size_t error_size = 1000;

struct Options {
    std::string model, input, output, isa;
    int width = 0, height = 0, threads = 1, repeat = 1;
};

struct Pixels {
    sparsr_type type = SPARSR_UINT8;
    int height = 0, width = 0, channels = 0;
    const char* data = nullptr;

    size_t row_bytes() const { return size_t(width) * size_t(channels) * (type == SPARSR_UINT8 ? 1 : sizeof(float)); }
    sparsr_image image() const { return {type, const_cast<char*>(data), ptrdiff_t(width) * channels, channels, 1}; }
};

[[noreturn]] void fail(const std::string& message) { throw std::runtime_error(message); }

// A file's content, in memory only where it is looked at.
class File {
public:
    explicit File(const std::string& path) {
        const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        struct stat status {};
        if (file >= 0 && fstat(file, &status) == 0 && status.st_size > 0) {
            size_ = size_t(status.st_size);
            data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
        }
        if (file >= 0) close(file);
        if (data_ == MAP_FAILED) fail("cannot read " + path);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { munmap(data_, size_); }
    const char* data() const { return static_cast<const char*>(data_); }
    size_t size() const { return size_; }
    char operator[](size_t at) const { return data()[at]; }

private:
    void* data_ = MAP_FAILED;
    size_t size_ = 0;
};

// The next number of a PPM header; comments are not supported.
int header_number(const File& file, size_t& at) {
    while (at < file.size() && std::isspace(static_cast<unsigned char>(file[at]))) ++at;
    long value = 0;
    for (; at < file.size() && std::isdigit(static_cast<unsigned char>(file[at])); ++at) {
        value = value * 10 + (file[at] - '0');
        if (value > 1 << 20) fail("the PPM header has too large a number");
    }
    return int(value);
}

Pixels ppm_pixels(const File& file, const std::string& path) {
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
    pixels.data = file.data() + at;
    return pixels;
}

Pixels bare_pixels(const File& file, const Options& options, int channels) {
    const Pixels pixels{SPARSR_FLOAT32, options.height, options.width, channels, file.data()};
    if (file.size() != pixels.row_bytes() * size_t(options.height)) fail(options.input + " does not have the size asked for");
    return pixels;
}

// The result as it comes, under another name until it is complete.
class Output {
public:
    Output(const std::string& path, const Pixels& pixels)
        : path_(path), part_(path + ".part"), row_bytes_(pixels.row_bytes()), file_(std::fopen(part_.c_str(), "wb")) {
        if (!file_) fail("cannot write " + path_);
        if (pixels.type == SPARSR_UINT8) std::fprintf(file_, "P6\n%d %d\n255\n", pixels.width, pixels.height);
    }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    ~Output() {
        if (file_) std::fclose(file_);
        std::remove(part_.c_str());
    }
    static int write(void* output, int32_t, const void* row) {
        const Output& self = *static_cast<Output*>(output);
        return std::fwrite(row, 1, self.row_bytes_, self.file_) == self.row_bytes_;
    }
    void finish() {
        const bool whole = std::fclose(std::exchange(file_, nullptr)) == 0;
        if (!whole || std::rename(part_.c_str(), path_.c_str())) fail("cannot write " + path_);
    }

private:
    std::string path_, part_;
    size_t row_bytes_;
    FILE* file_;
};

int number(const std::string& name, const char* text) {
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    if (end == text || *end || value < 1 || value > 1 << 20) fail(name + " is not a number from 1 on: " + text);
    return int(value);
}

Options parse(int count, char** arguments) {
    Options options;
    std::string* const names[] = {&options.model, &options.input, &options.output};
    if (count < 4 || count % 2) fail("usage: sparsr_run MODEL INPUT OUTPUT [--size WxH] [--isa NAME] [--threads N] [--repeat N]");
    for (int i = 0; i < 3; ++i) *names[i] = arguments[i + 1];
    for (int i = 4; i < count; i += 2) {
        const std::string name = arguments[i], value = arguments[i + 1];
        const size_t cross = value.find('x');
        if (name == "--isa") options.isa = value;
        else if (name == "--threads") options.threads = number(name, value.c_str());
        else if (name == "--repeat") options.repeat = number(name, value.c_str());
        else if (name == "--size" && cross != std::string::npos) {
            options.width = number(name, value.substr(0, cross).c_str());
            options.height = number(name, value.c_str() + cross + 1);
        } else fail("unknown option " + name + " " + value);
    }
    return options;
}

using Model = std::unique_ptr<sparsr_model, void (*)(sparsr_model*)>;

Model load(const Options& options) {
    char error[error_size];
    const File file(options.model);
    const char* isa = options.isa.empty() ? nullptr : options.isa.c_str();
    Model model(sparsr_load(file.data(), file.size(), isa, 0, error, error_size), sparsr_free);
    if (!model || !sparsr_set_threads(model.get(), options.threads, error, error_size)) fail(error);
    return model;
}

Pixels result_for(const sparsr_model* model, const Pixels& input, int channels) {
    char error[error_size];
    Pixels result{input.type, 0, 0, channels};
    if (!sparsr_output_size(model, input.height, input.width, &result.height, &result.width, error, error_size)) fail(error);
    return result;
}

double processor_seconds() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

// Least processor time of the repetitions; the last one writes the result.
double run(sparsr_model* model, const Pixels& input, const Pixels& result, Output& output, int repeat) {
    char error[error_size];
    double best = 1e30;
    const sparsr_image from = input.image(), to = result.image();
    for (int i = 0; i < repeat; ++i) {
        const double begin = processor_seconds();
        const sparsr_row_ready write = i == repeat - 1 ? Output::write : nullptr;
        const int done = sparsr_run(model, &from, input.height, input.width, &to, write, &output, error, error_size);
        if (done <= 0) fail(done ? "cannot write the result" : error);
        best = std::min(best, processor_seconds() - begin);
    }
    return best;
}

// Of this program; getrusage would count what the process was before it became this program.
unsigned long long peak_resident_bytes() {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
        if (line.rfind("VmHWM:", 0) == 0) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
    return 0;
}

void report(const sparsr_model* model, const Pixels& output, double seconds) {
    sparsr_info info;
    sparsr_get_info(model, &info);
    std::string plan(sparsr_describe(model, nullptr, 0) + 1, '\0');
    sparsr_describe(model, plan.data(), plan.size());
    std::printf("{\"width\": %d, \"height\": %d, \"channels\": %d, \"seconds\": %.6f, \"feature_map_bytes\": %llu, "
                "\"heap_bytes\": %zu, \"resident_bytes\": %llu, \"plan\": %s}\n",
                output.width, output.height, output.channels, seconds, static_cast<unsigned long long>(info.buffer_bytes),
                heap_peak(), peak_resident_bytes(), plan.c_str());
}

void work(const Options& options) {
    const Model model = load(options);
    sparsr_info info;
    sparsr_get_info(model.get(), &info);
    const File file(options.input);
    const Pixels input = options.width ? bare_pixels(file, options, info.input_channels) : ppm_pixels(file, options.input);
    if (input.channels != info.input_channels) fail("the model does not take 3 channels");
    const Pixels result = result_for(model.get(), input, info.output_channels);
    if (result.type == SPARSR_UINT8 && result.channels != 3) fail("the result does not have 3 channels: use --size");
    Output output(options.output, result);
    const double seconds = run(model.get(), input, result, output, options.repeat);
    output.finish();
    report(model.get(), result, seconds);
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
