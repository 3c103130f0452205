#include "cost/file.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "model/json.h"
#include "model/text.h"

#ifndef SPARSR_DIGEST
#define SPARSR_DIGEST ""
#endif

namespace sparsr {

namespace {

constexpr size_t longest = 4 << 20;  // bytes of a file that we read

std::string folder() {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    if (cache && *cache == '/') return std::string(cache) + "/sparsr/costs";
    const char* home = std::getenv("HOME");
    return home && *home == '/' ? std::string(home) + "/.cache/sparsr/costs" : "";
}

std::string path() { return folder() + "/" SPARSR_DIGEST ".json"; }

void make_folders(const std::string& name) {
    for (size_t end = name.find('/', 1); end != std::string::npos; end = name.find('/', end + 1))
        mkdir(name.substr(0, end).c_str(), 0777);
    mkdir(name.c_str(), 0777);
}

std::string read_processor() {
    std::string text;
    read_file("/proc/cpuinfo", longest, text);
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        const std::string line = text.substr(begin, end - begin);
        for (const char* name : {"model name", "CPU part"})
            if (line.rfind(name, 0) == 0 && line.find(": ") != std::string::npos) return line.substr(line.find(": ") + 2);
        begin = end + 1;
    }
    return "processor";
}

bool plain(const std::string& text) { return text.find_first_of("\"\\") == std::string::npos; }

}  // namespace

const std::string& processor() {
    static const std::string name = read_processor();
    return name;
}

bool cost_file_exists() { return *SPARSR_DIGEST && !folder().empty(); }

std::map<std::string, double> read_costs() {
    std::map<std::string, double> costs;
    try {
        std::string text;
        read_file(path(), longest, text);
        const Json json = Json::parse(text);
        for (const auto& [name, value] : json.object("costs")) {
            const double seconds = value.number("a cost");
            require(seconds > 0 && seconds < 1e3, "a cost is out of range");
            costs[name] = seconds;
        }
    } catch (const Error&) {
        costs.clear();
    }
    return costs;
}

void write_costs(std::map<std::string, double> costs) {
    make_folders(folder());
    costs.merge(read_costs());  // what others have measured in the meantime
    const std::string temporary = path() + "." + std::to_string(getpid());
    TextWriter text;
    const char* separator = "{\n";
    for (const auto& [name, seconds] : costs) {
        if (!plain(name)) continue;
        text << separator << "\"" << name << "\": " << seconds;
        separator = ",\n";
    }
    text << "\n}\n";
    const bool written = write_file(temporary, text.text());
    if (!written || std::rename(temporary.c_str(), path().c_str()) != 0) std::remove(temporary.c_str());
}

}  // namespace sparsr
