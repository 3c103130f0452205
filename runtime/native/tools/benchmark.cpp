#include "tools/benchmark.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <thread>

#include "model/json.h"
#include "tools/device.h"
#include "tools/flags.h"
#include "tools/heap.h"
#include "tools/network.h"

namespace {

constexpr int longest_side = 1 << 16;

const std::vector<std::string> known = {
    "bundle=DIR          a bundle: its native model, its card, and its stored reference, if it has one",
    "graph=FILE          a model.safetensors alone",
    "size=WxH            pixels of the input (160x90), which is the same noise everywhere",
    "num_threads=N       (1)",
    "cpus=N,N            cores to stay on",
    "isa=NAME            instruction set, for example avx2 or fp16 (the best there is)",
    "warmup_runs=N       runs that are not counted (1)",
    "num_runs=N          runs that are counted (50)",
    "min_secs=S          go on for at least so long (1)",
    "max_secs=S          but no longer than that (150)",
    "run_delay=S         rest before every run (0)",
    "benchmark_out=FILE  write the JSON there too",
};

struct Settings {
    std::string model, card, reference, name, isa, out;
    int width, height, threads, warm_up, runs;
    double least, most, delay;
    std::vector<int> cpus;
};

Settings settings(const Flags& flags) {
    Settings s;
    const std::string bundle = flags.text("bundle", "");
    s.model = flags.text("graph", bundle + "/model.safetensors");
    if (bundle.empty() && !flags.has("graph")) fail("nothing to measure: give --bundle=DIR or --graph=FILE");
    if (!bundle.empty()) s.card = bundle + "/card.json", s.reference = bundle + "/reference";
    const std::string path = bundle.empty() ? s.model : bundle.substr(0, bundle.find_last_not_of('/') + 1);
    s.name = path.substr(path.find_last_of('/') + 1);
    const std::string size = flags.text("size", "160x90");
    const size_t cross = size.find('x');
    if (cross == std::string::npos) fail("--size is not written WxH: " + size);
    s.width = whole_number("--size", size.substr(0, cross), 1, longest_side);
    s.height = whole_number("--size", size.substr(cross + 1), 1, longest_side);
    s.threads = flags.number("num_threads", 1, 1, 1024);
    s.warm_up = flags.number("warmup_runs", 1, 0, 1000000);
    s.runs = flags.number("num_runs", 50, 1, 1000000);
    s.least = flags.real("min_secs", 1, 86400), s.most = flags.real("max_secs", 150, 86400);
    s.delay = flags.real("run_delay", 0, 3600);
    s.isa = flags.text("isa", ""), s.out = flags.text("benchmark_out", "");
    std::string cpus = flags.text("cpus", "");
    for (size_t at = 0; !cpus.empty() && at != std::string::npos; at = cpus.find(',', at)) {
        if (cpus[at] == ',') ++at;
        s.cpus.push_back(whole_number("--cpus", cpus.substr(at, cpus.find(',', at) - at), 0, CPU_SETSIZE - 1));
    }
    return s;
}

// In milliseconds, in the order of the runs.
struct Samples {
    std::vector<double> wall, cpu, reference;
};

double quantile(std::vector<double> values, double share) {
    std::sort(values.begin(), values.end());
    const double at = share * double(values.size() - 1);
    const size_t low = size_t(at), high = std::min(low + 1, values.size() - 1);
    return values[low] + (values[high] - values[low]) * (at - double(low));
}

double mean(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size()); }

double deviation(const std::vector<double>& values) {
    const double middle = mean(values);
    double sum = 0;
    for (const double value : values) sum += (value - middle) * (value - middle);
    return values.size() < 2 ? 0 : std::sqrt(sum / double(values.size() - 1));
}

Samples measure(Network& network, const Settings& s) {
    std::vector<unsigned char> image(size_t(s.width) * size_t(s.height) * 3);
    unsigned state = 1;  // the same noise everywhere
    for (unsigned char& value : image) value = static_cast<unsigned char>((state = state * 1664525u + 1013904223u) >> 24);
    std::vector<unsigned char> result(size_t(network.out_width()) * size_t(network.out_height()) * 3);
    const auto run = [&] { network.run(SPARSR_UINT8, image.data(), result.data()); };
    for (int i = 0; i < s.warm_up; ++i) run();
    Samples samples;
    const double begin = seconds(CLOCK_MONOTONIC);
    const auto passed = [&] { return seconds(CLOCK_MONOTONIC) - begin; };
    while ((int(samples.wall.size()) < s.runs || passed() < s.least) && (samples.wall.empty() || passed() < s.most)) {
        if (s.delay > 0) usleep(useconds_t(s.delay * 1e6));
        const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        run();
        samples.cpu.push_back(1e3 * (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu));
        samples.wall.push_back(1e3 * (seconds(CLOCK_MONOTONIC) - wall));
        samples.reference.push_back(1e3 * reference_seconds());
    }
    return samples;
}

// The largest difference from the result the bundle stores for a small picture, in 8-bit levels; -1 if it stores none.
int off_by(Network& network, const Settings& s) {
    if (s.reference.empty() || access((s.reference + ".json").c_str(), R_OK)) return -1;
    const std::vector<char> text = read_file(s.reference + ".json"), pixels = read_file(s.reference + ".rgb");
    const sparsr::Json json = sparsr::Json::parse(std::string(text.data(), text.size()));
    network.set_size(int(json.at("width").integer("width", 1, longest_side)), int(json.at("height").integer("height", 1, longest_side)));
    const size_t input = size_t(network.width()) * size_t(network.height()) * 3;
    std::vector<unsigned char> result(size_t(network.out_width()) * size_t(network.out_height()) * 3);
    if (pixels.size() != input + result.size()) fail("the bundle's reference.rgb does not have the size reference.json says");
    network.run(SPARSR_UINT8, pixels.data(), result.data());
    int largest = 0;
    for (size_t i = 0; i < result.size(); ++i)
        largest = std::max(largest, std::abs(int(result[i]) - int(static_cast<unsigned char>(pixels[input + i]))));
    return largest;
}

std::string format(const char* pattern, double value) {
    char text[64];
    std::snprintf(text, sizeof text, pattern, value);
    return text;
}

std::string context() {
    char date[64], host[256] = "";
    const time_t now = time(nullptr);
    tm local;
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S%z", localtime_r(&now, &local));
    gethostname(host, sizeof host - 1);
    double load[3] = {0, 0, 0};
    if (getloadavg(load, 3) < 0) load[0] = 0;
    return "{\"date\": " + quoted(date) + ", \"host_name\": " + quoted(host) + ", \"executable\": \"sparsr_bench\", \"num_cpus\": " +
           std::to_string(std::thread::hardware_concurrency()) + ", \"load_avg\": [" + format("%.2f", load[0]) + ", " +
           format("%.2f", load[1]) + ", " + format("%.2f", load[2]) + "], \"library_build_type\": \"release\"}";
}

std::string entry(const std::string& name, const std::string& kind, int threads, const std::string& more, double wall, double cpu) {
    return "  {\"name\": " + quoted(name + kind) + ", \"run_name\": " + quoted(name) + ", " + more + ", \"threads\": " +
           std::to_string(threads) + ", \"real_time\": " + format("%.6f", wall) + ", \"cpu_time\": " + format("%.6f", cpu) +
           ", \"time_unit\": \"ms\"";
}

std::string report(const Network& network, const Settings& s, const Samples& samples, double load, double first, int off) {
    const std::string name = s.name + "/" + std::to_string(s.width) + "x" + std::to_string(s.height);
    const size_t count = samples.wall.size();
    std::string lines;
    for (size_t i = 0; i < count; ++i)
        lines += entry(name, "", s.threads,
                       "\"run_type\": \"iteration\", \"repetitions\": " + std::to_string(count) + ", \"repetition_index\": " +
                           std::to_string(i) + ", \"iterations\": 1",
                       samples.wall[i], samples.cpu[i]) +
                 ", \"reference_time\": " + format("%.6f", samples.reference[i]) + "},\n";
    const auto aggregate = [&](const char* kind, double wall, double cpu) {
        lines += entry(name, std::string("_") + kind, s.threads,
                       "\"run_type\": \"aggregate\", \"aggregate_name\": \"" + std::string(kind) + "\", \"iterations\": " +
                           std::to_string(count),
                       wall, cpu) + "},\n";
    };
    aggregate("mean", mean(samples.wall), mean(samples.cpu));
    aggregate("median", quantile(samples.wall, 0.5), quantile(samples.cpu, 0.5));
    aggregate("stddev", deviation(samples.wall), deviation(samples.cpu));
    aggregate("p90", quantile(samples.wall, 0.9), quantile(samples.cpu, 0.9));
    aggregate("p95", quantile(samples.wall, 0.95), quantile(samples.cpu, 0.95));
    lines.erase(lines.size() - 2);
    std::string card = "null";
    if (!s.card.empty() && !access(s.card.c_str(), R_OK)) {
        const std::vector<char> text = read_file(s.card);
        card.assign(text.begin(), text.end());
        sparsr::Json::parse(card);
    }
    return "{\"context\": " + context() + ",\n \"benchmarks\": [\n" + lines + "\n ],\n \"sparsr\": {\"instruction_set\": " +
           quoted(network.info().instruction_set) + ", \"load_ms\": " + format("%.3f", 1e3 * load) + ", \"first_run_ms\": " +
           format("%.3f", 1e3 * first) + ", \"multiply_adds\": " + std::to_string(network.multiply_adds()) + ", \"heap_bytes\": " +
           std::to_string(heap_peak()) + ", \"resident_bytes\": " + std::to_string(bytes_of("/proc/self/status", "VmHWM:")) +
           ", \"proportional_bytes\": " + std::to_string(bytes_of("/proc/self/smaps_rollup", "Pss:")) +
           ", \"off_by\": " + (off < 0 ? "null" : std::to_string(off)) + "},\n \"card\": " + card + "}\n";
}

}  // namespace

std::string benchmark_help() {
    std::string help;
    for (const std::string& flag : known) help += "  --" + flag + "\n";
    return help;
}

int benchmark(const std::vector<std::string>& arguments) {
    const Settings s = settings(Flags(arguments, known));
    pin(s.cpus);
    const double start = seconds(CLOCK_MONOTONIC);
    Network network(s.model, s.isa, s.threads);
    const double loaded = seconds(CLOCK_MONOTONIC);
    network.set_size(s.width, s.height);
    std::vector<unsigned char> from(size_t(s.width) * size_t(s.height) * 3), to(size_t(network.out_width()) * size_t(network.out_height()) * 3);
    const double begin = seconds(CLOCK_MONOTONIC);
    network.run(SPARSR_UINT8, from.data(), to.data());
    const double first = seconds(CLOCK_MONOTONIC) - begin;
    const int off = off_by(network, s);
    network.set_size(s.width, s.height);
    const Samples samples = measure(network, s);
    const std::string text = report(network, s, samples, loaded - start, first, off);
    std::fputs(text.c_str(), stdout);
    if (!s.out.empty()) {
        std::ofstream file(s.out, std::ios::binary);
        if (!(file << text).flush()) fail("cannot write " + s.out);
    }
    const int allowed = std::string(network.info().instruction_set) == "fp16" ? 2 : 1;
    if (off >= 0)
        std::fprintf(stderr, "the bundle's stored result: %s, off by %d levels of the %d allowed\n",
                     off > allowed ? "FAILED" : "passed", off, allowed);
    return off > allowed ? 1 : 0;
}
