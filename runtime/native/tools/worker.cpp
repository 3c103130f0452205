#include "tools/worker.h"

#include <sched.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "model/json.h"
#include "tools/device.h"
#include "tools/heap.h"
#include "tools/network.h"

namespace {

using sparsr::Json;

constexpr int64_t longest_side = 1 << 20, most_threads = 1024;

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

std::string isa_of(const std::string& engine) {
    if (engine != "native" && engine != "native-fp16") fail("there is no engine " + engine + " here, only native and native-fp16");
    return engine == "native" ? "" : "fp16";
}

void write(const std::string& path, const std::vector<float>& values) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(values.data()), std::streamsize(values.size() * sizeof(float)));
    if (!file.flush()) fail("cannot write " + path);
}

void work(const Job& job) {
    pin(job.cpus);
    const std::vector<char> image = read_file(job.image);
    if (image.size() != size_t(job.height) * size_t(job.width) * 3 * sizeof(float)) fail("the image has another size");
    const unsigned long long baseline = bytes_of("/proc/self/status", "VmRSS:");
    const double start = seconds(CLOCK_MONOTONIC);
    Network network(job.model, isa_of(job.engine), job.threads);
    network.set_size(job.width, job.height);
    std::vector<float> result(size_t(network.out_height()) * size_t(network.out_width()) * 3);
    const auto run = [&] { network.run(SPARSR_FLOAT32, image.data(), result.data()); };
    const double loaded = seconds(CLOCK_MONOTONIC);
    run();
    const double first = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < job.warm_up; ++i) run();
    std::printf("{\"load\": %.9f, \"first\": %.9f}\n", loaded - start, first - loaded);
    std::fflush(stdout);
    std::string line;
    while (std::getline(std::cin, line) && line == "run") {
        const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        run();
        const double cpu_taken = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, taken = seconds(CLOCK_MONOTONIC) - wall;
        std::printf("{\"cpu\": %.9f, \"wall\": %.9f, \"reference\": %.9f}\n", cpu_taken, taken, reference_seconds());
        std::fflush(stdout);
    }
    if (line != "stop") return;  // the measurer is gone
    write(job.output, result);
    const unsigned long long proportional = bytes_of("/proc/self/smaps_rollup", "Pss:");
    std::printf("{\"output_width\": %d, \"output_height\": %d, \"memory\": {\"baseline\": %llu, \"peak\": %llu, "
                "\"proportional\": %s}, \"counters\": {\"multiply_adds\": %lld, \"instructions\": null, \"heap\": %zu}, "
                "\"layers\": []}\n",
                network.out_width(), network.out_height(), baseline, bytes_of("/proc/self/status", "VmHWM:"),
                proportional ? std::to_string(proportional).c_str() : "null", network.multiply_adds(), heap_peak());
    std::fflush(stdout);
}

}  // namespace

int serve() {
    try {
        std::string line;
        if (!std::getline(std::cin, line)) fail("no job was given");
        work(read_job(line));
        return 0;
    } catch (const std::exception& exception) {
        std::printf("{\"error\": %s, \"hint\": \"\"}\n", quoted(exception.what()).c_str());
        return 1;
    }
}
