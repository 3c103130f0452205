#include "cost/file.h"

#include <cstdio>

#include "error.h"
#include "model/json.h"
#include "model/text.h"
#include "system/system.h"

#ifndef SPARSR_DIGEST
#define SPARSR_DIGEST ""
#endif

namespace sparsr {

namespace {

constexpr size_t longest = 4 << 20;  // bytes of a file that we read

std::string folder() {
    const std::string cache = system::cache_folder();
    return cache.empty() ? cache : cache + "/sparsr/costs";
}

std::string path() { return folder() + "/" SPARSR_DIGEST ".json"; }

void make_folders(const std::string& name) {
    for (size_t end = name.find('/', 1); end != std::string::npos; end = name.find('/', end + 1))
        system::make_folder(name.substr(0, end));
    system::make_folder(name);
}

bool plain(const std::string& text) { return text.find_first_of("\"\\") == std::string::npos; }

}  // namespace

const std::string& processor() {
    static const std::string name = system::processor();
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
    const std::string temporary = path() + "." + std::to_string(system::process_number());
    TextWriter text;
    const char* separator = "{\n";
    for (const auto& [name, seconds] : costs) {
        if (!plain(name)) continue;
        text << separator << "\"" << name << "\": " << seconds;
        separator = ",\n";
    }
    text << "\n}\n";
    const bool written = write_file(temporary, text.text());
    if (!written || !system::replace_file(temporary, path())) std::remove(temporary.c_str());
}

}  // namespace sparsr
