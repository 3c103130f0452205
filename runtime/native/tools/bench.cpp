// The worker of a measurement, without Python: for phones, boards and emulators. It speaks the contract of
// bench/targets/contract.py over its standard input and output: a Job, then "run" as often as wanted, then "stop".
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "c_api.h"
#include "model/json.h"
#include "tools/heap.h"

namespace {

using sparsr::Json;

constexpr size_t error_size = 1000;
constexpr int64_t longest_side = 1 << 20, most_threads = 1024;

[[noreturn]] void fail(const std::string& message) { throw std::runtime_error(message); }

struct Job {
    std::string engine, model, image, output;
    int threads = 1, width = 0, height = 0, warm_up = 1;
    std::vector<int> cpus;
};

Job read_job(const std::string& line) {
    const Json json = Json::parse(line);
    Job job;
    job.engine = json.at("engine").string("engine");
    job.model = json.at("model").string("model");
    job.image = json.at("image").string("image");
    job.output = json.at("output").string("output");
    job.threads = int(json.at("threads").integer("threads", 1, most_threads));
    job.width = int(json.at("width").integer("width", 1, longest_side));
    job.height = int(json.at("height").integer("height", 1, longest_side));
    job.warm_up = int(json.at("warm_up").integer("warm_up", 0, 1000));
    for (const Json& cpu : json.at("cpus").array("cpus")) job.cpus.push_back(int(cpu.integer("cpus", 0, CPU_SETSIZE - 1)));
    return job;
}

double seconds(clockid_t clock) {
    timespec now;
    clock_gettime(clock, &now);
    return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

// A field of a file of Linux that lists sizes in kB; 0 where there is none.
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
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int cpu : cpus) CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) fail("the process cannot be pinned to these CPUs");
}

// Fixed work on one thread: some milliseconds of multiply-adds within the first cache.
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

class Network {
public:
    explicit Network(const Job& job) : image_(read_file(job.image)), height_(job.height), width_(job.width) {
        const std::vector<char> content = read_file(job.model);
        const char* isa = job.engine == "native-fp16" ? "fp16" : nullptr;
        if (!isa && job.engine != "native") fail("there is no engine " + job.engine + " here, only native and native-fp16");
        model_.reset(sparsr_load(content.data(), content.size(), isa, 0, error_, error_size));
        if (!model_ || !sparsr_set_threads(model_.get(), job.threads, error_, error_size)) fail(error_);
        if (!sparsr_output_size(model_.get(), height_, width_, &out_height_, &out_width_, error_, error_size)) fail(error_);
        sparsr_info info;
        sparsr_get_info(model_.get(), &info);
        if (info.input_channels != 3 || info.output_channels != 3) fail("the network does not take and give 3 channels");
        if (image_.size() != size_t(height_) * size_t(width_) * 3 * sizeof(float)) fail("the image has another size");
        result_.resize(size_t(out_height_) * size_t(out_width_) * 3);
    }

    void run() {
        const sparsr_image from{SPARSR_FLOAT32, image_.data(), ptrdiff_t(width_) * 3, 3, 1};
        const sparsr_image to{SPARSR_FLOAT32, result_.data(), ptrdiff_t(out_width_) * 3, 3, 1};
        if (sparsr_run(model_.get(), &from, height_, width_, &to, nullptr, nullptr, error_, error_size) <= 0) fail(error_);
    }

    void write(const std::string& path) const {
        std::ofstream file(path, std::ios::binary);
        file.write(reinterpret_cast<const char*>(result_.data()), std::streamsize(result_.size() * sizeof(float)));
        if (!file.flush()) fail("cannot write " + path);
    }

    // As the kernels compute them, for one image.
    long long multiply_adds() const {
        std::string plan(sparsr_describe(model_.get(), nullptr, 0) + 1, '\0');
        sparsr_describe(model_.get(), plan.data(), plan.size());
        plan.pop_back();
        double sum = 0;
        const Json described = Json::parse(plan);
        for (const Json& operation : described.at("operations").array("operations")) {
            const std::string& kernel = operation.at("kernel").string("kernel");
            const Json* done = operation.find("kernel_macs");
            if (done && (kernel == "dense" || kernel == "sparse" || kernel == "winograd")) sum += done->number("kernel_macs");
        }
        return static_cast<long long>(sum + 0.5);
    }

    int out_height() const { return out_height_; }
    int out_width() const { return out_width_; }

private:
    std::vector<char> image_;
    int height_, width_, out_height_ = 0, out_width_ = 0;
    std::vector<float> result_;
    std::unique_ptr<sparsr_model, void (*)(sparsr_model*)> model_{nullptr, sparsr_free};
    char error_[error_size];
};

void serve(const Job& job) {
    pin(job.cpus);
    const unsigned long long baseline = bytes_of("/proc/self/status", "VmRSS:");
    const double start = seconds(CLOCK_MONOTONIC);
    Network network(job);
    const double loaded = seconds(CLOCK_MONOTONIC);
    network.run();
    const double first = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < job.warm_up; ++i) network.run();
    std::printf("{\"load\": %.9f, \"first\": %.9f}\n", loaded - start, first - loaded);
    std::fflush(stdout);
    std::string line;
    while (std::getline(std::cin, line) && line == "run") {
        const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        network.run();
        const double cpu_taken = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, taken = seconds(CLOCK_MONOTONIC) - wall;
        std::printf("{\"cpu\": %.9f, \"wall\": %.9f, \"reference\": %.9f}\n", cpu_taken, taken, reference_seconds());
        std::fflush(stdout);
    }
    if (line != "stop") return;  // the measurer is gone
    network.write(job.output);
    const unsigned long long proportional = bytes_of("/proc/self/smaps_rollup", "Pss:");
    std::printf("{\"output_width\": %d, \"output_height\": %d, \"memory\": {\"baseline\": %llu, \"peak\": %llu, \"proportional\": %s}, "
                "\"counters\": {\"multiply_adds\": %lld, \"instructions\": null, \"heap\": %zu}, \"layers\": []}\n",
                network.out_width(), network.out_height(), baseline, bytes_of("/proc/self/status", "VmHWM:"),
                proportional ? std::to_string(proportional).c_str() : "null", network.multiply_adds(),
                heap_peak());
    std::fflush(stdout);
}

std::string quoted(const char* text) {
    std::string result = "\"";
    for (; *text; ++text) {
        if (*text == '"' || *text == '\\') result += '\\';
        result += static_cast<unsigned char>(*text) < ' ' ? ' ' : *text;
    }
    return result + "\"";
}

}  // namespace

int main() {
    try {
        std::string line;
        if (!std::getline(std::cin, line)) fail("no job was given");
        serve(read_job(line));
        return 0;
    } catch (const std::exception& exception) {
        std::printf("{\"error\": %s, \"hint\": \"\"}\n", quoted(exception.what()).c_str());
        return 1;
    }
}
