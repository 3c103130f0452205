// Runs a model on one image: sparsr_run MODEL INPUT OUTPUT [--size WxH] [--isa NAME] [--threads N] [--repeat N]
// [--max-memory MIB]. Without --size images are binary PPM files; with it they are bare float32 values
// [height][width][channels], the way to exact results. With --max-memory a picture that takes more is computed in columns.
// Prints one JSON object: sizes, processor time, memory, and the plan as sparsr_describe gives it.

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
#include <vector>

#include "c_api.h"
#include "model/safetensors.h"
#include "system/system.h"
#include "tools/columns.h"
#include "tools/device.h"
#include "tools/heap.h"

namespace {

constexpr size_t error_size = 1000;
constexpr uint64_t spare_bytes = 2 << 20;  // stacks, and what the C library keeps
constexpr int rows_at_once = 64;           // of the input, copied before its pages are given back

struct Options {
    std::string model, input, output, isa;
    int width = 0, height = 0, threads = 1, repeat = 1, max_memory = 0;
};

struct Pixels {
    sparsr_type type = SPARSR_UINT8;
    int height = 0, width = 0, channels = 0;
    const char* data = nullptr;

    size_t pixel_bytes() const { return size_t(channels) * (type == SPARSR_UINT8 ? 1 : sizeof(float)); }
    size_t row_bytes() const { return size_t(width) * pixel_bytes(); }
    sparsr_image image() const { return {type, const_cast<char*>(data), ptrdiff_t(width) * channels, channels, 1}; }
};

// A file's content, in memory only where it is looked at.
class File {
public:
    explicit File(const std::string& path) : data_(sparsr::system::map_file(path, size_)) {
        if (!data_) fail("cannot read " + path);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { sparsr::system::unmap_file(data_, size_); }
    const char* data() const { return static_cast<const char*>(data_); }
    size_t size() const { return size_; }
    char operator[](size_t at) const { return data()[at]; }
    // Gives back the memory of what was looked at.
    void forget() const { sparsr::system::forget_file(data_, size_); }

private:
    size_t size_ = 0;
    const void* data_;
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

// The result as it comes, under another name until it is complete; in columns, if need be.
class Output {
public:
    Output(const std::string& path, const Pixels& pixels)
        : path_(path), part_(path + ".part"), pixels_(pixels), file_(std::fopen(part_.c_str(), "wb")) {
        if (!file_) fail("cannot write " + path_);
        if (pixels.type == SPARSR_UINT8) std::fprintf(file_, "P6\n%d %d\n255\n", pixels.width, pixels.height);
        header_ = std::ftell(file_);
    }
    // What comes next has `skipped` pixels a row that do not count before `count` that begin at `left`.
    void next(int skipped, int left, int count) {
        skipped_ = size_t(skipped) * pixels_.pixel_bytes(), left_ = size_t(left) * pixels_.pixel_bytes();
        count_ = size_t(count) * pixels_.pixel_bytes();
    }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    ~Output() {
        if (file_) std::fclose(file_);
        std::remove(part_.c_str());
    }
    static int write(void* output, int32_t y, const void* row) {
        const Output& self = *static_cast<Output*>(output);
        const size_t all = self.pixels_.row_bytes(), place = size_t(self.header_) + size_t(y) * all + self.left_;
        if (self.count_ != all && fseeko(self.file_, off_t(place), SEEK_SET)) return 0;
        return std::fwrite(static_cast<const char*>(row) + self.skipped_, 1, self.count_, self.file_) == self.count_;
    }
    void finish() {
        const bool whole = std::fclose(std::exchange(file_, nullptr)) == 0;
        if (!whole || !sparsr::system::replace_file(part_, path_)) fail("cannot write " + path_);
    }

private:
    std::string path_, part_;
    Pixels pixels_;
    FILE* file_;
    long header_ = 0;
    size_t skipped_ = 0, left_ = 0, count_ = 0;
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
    if (count < 4 || count % 2) fail("usage: sparsr_run MODEL INPUT OUTPUT [--size WxH] [--isa NAME] [--threads N] [--repeat N] [--max-memory MIB]");
    for (int i = 0; i < 3; ++i) *names[i] = arguments[i + 1];
    for (int i = 4; i < count; i += 2) {
        const std::string name = arguments[i], value = arguments[i + 1];
        const size_t cross = value.find('x');
        if (name == "--isa") options.isa = value;
        else if (name == "--threads") options.threads = number(name, value.c_str());
        else if (name == "--max-memory") options.max_memory = number(name, value.c_str());
        else if (name == "--repeat") options.repeat = number(name, value.c_str());
        else if (name == "--size" && cross != std::string::npos) {
            options.width = number(name, value.substr(0, cross).c_str());
            options.height = number(name, value.c_str() + cross + 1);
        } else fail("unknown option " + name + " " + value);
    }
    return options;
}

using Model = std::unique_ptr<sparsr_model, void (*)(sparsr_model*)>;

Model load(const File& file, const Options& options) {
    char error[error_size];
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

// Least processor time of the repetitions; the last one writes the result.
double run(sparsr_model* model, const Pixels& input, const Pixels& result, Output& output, int repeat) {
    char error[error_size];
    double best = 1e30;
    const sparsr_image from = input.image(), to = result.image();
    for (int i = 0; i < repeat; ++i) {
        const double begin = sparsr::system::process_seconds();
        const sparsr_row_ready write = i == repeat - 1 ? Output::write : nullptr;
        const int done = sparsr_run(model, &from, input.height, input.width, &to, write, &output, error, error_size);
        if (done <= 0) fail(done ? "cannot write the result" : error);
        best = std::min(best, sparsr::system::process_seconds() - begin);
    }
    return best;
}

// The pixels around every pixel that its result depends on, as the exporter wrote them into the model; -1 if all do.
int seen_around(const File& file) {
    const sparsr::Safetensors model(file.data(), file.size());
    const auto radius = model.metadata.find("sparsr.receptive_radius");
    if (radius == model.metadata.end() || radius->second.find_first_not_of("0123456789") != std::string::npos) return -1;
    return int(std::strtol(radius->second.c_str(), nullptr, 10));
}

// The columns that keep the process below its limit; one, as wide as the picture, if there is none.
std::vector<Column> cut(const sparsr_model* model, const Pixels& input, int radius, int max_memory) {
    const std::vector<Column> whole{{0, input.width, 0, input.width}};
    if (!max_memory) return whole;
    sparsr_info info;
    sparsr_get_info(model, &info);
    const auto need = [&](int width) {
        char error[error_size];
        uint64_t bytes = 0;
        if (!sparsr_memory(model, input.height, width, &bytes, error, error_size)) fail(error);
        return bytes + uint64_t(input.height) * uint64_t(width) * input.pixel_bytes();
    };
    const uint64_t most = uint64_t(max_memory) << 20, held = bytes_of("/proc/self/status", "VmRSS:") + spare_bytes;
    const uint64_t bytes = most > held ? most - held : 0;
    if (radius < 0 && need(input.width) > bytes) fail("every pixel depends on the whole picture, which takes more memory");
    return radius < 0 ? whole : columns(input.width, std::max(radius, info.minimum_size / 2), bytes, need);
}

// The pixels of a column, in memory of their own; what the file takes meanwhile is given back.
std::vector<char> copied(const File& file, const Pixels& input, const Column& column) {
    const size_t row = size_t(column.width()) * input.pixel_bytes();
    std::vector<char> copy(row * size_t(input.height));
    for (int y = 0; y < input.height; ++y) {
        const char* from = input.data + size_t(y) * input.row_bytes() + size_t(column.start) * input.pixel_bytes();
        std::memcpy(copy.data() + size_t(y) * row, from, row);
        if (y % rows_at_once == 0) file.forget();
    }
    file.forget();
    return copy;
}

void report(const sparsr_model* model, const Pixels& output, double seconds) {
    sparsr_info info;
    sparsr_get_info(model, &info);
    std::string plan(sparsr_describe(model, nullptr, 0) + 1, '\0');
    sparsr_describe(model, plan.data(), plan.size());
    std::printf("{\"width\": %d, \"height\": %d, \"channels\": %d, \"seconds\": %.6f, \"feature_map_bytes\": %llu, "
                "\"heap_bytes\": %zu, \"resident_bytes\": %llu, \"plan\": %s}\n",
                output.width, output.height, output.channels, seconds, static_cast<unsigned long long>(info.buffer_bytes),
                heap_peak(), bytes_of("/proc/self/status", "VmHWM:"), plan.c_str());
}

void work(const Options& options) {
    const File weights(options.model);
    const Model model = load(weights, options);
    const int radius = seen_around(weights);
    weights.forget();
    sparsr_info info;
    sparsr_get_info(model.get(), &info);
    const File file(options.input);
    const Pixels input = options.width ? bare_pixels(file, options, info.input_channels) : ppm_pixels(file, options.input);
    if (input.channels != info.input_channels) fail("the model does not take 3 channels");
    const Pixels result = result_for(model.get(), input, info.output_channels);
    if (result.type == SPARSR_UINT8 && result.channels != 3) fail("the result does not have 3 channels: use --size");
    const std::vector<Column> parts = cut(model.get(), input, radius, options.max_memory);
    char error[error_size];
    if (parts.size() > 1 && !sparsr_follow(model.get(), input.height, input.width, error, error_size)) fail(error);
    Output output(options.output, result);
    double seconds = 0;
    const int scale = result.width / input.width;  // columns are cut of networks that keep to a whole one
    for (const Column& part : parts) {
        const std::vector<char> pixels = options.max_memory ? copied(file, input, part) : std::vector<char>();
        const Pixels from{input.type, input.height, part.width(), input.channels, pixels.empty() ? input.data : pixels.data()};
        if (parts.size() == 1) output.next(0, 0, result.width);
        else output.next(scale * (part.keep_start - part.start), scale * part.keep_start, scale * (part.keep_stop - part.keep_start));
        seconds += run(model.get(), from, result_for(model.get(), from, result.channels), output, options.repeat);
    }
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
