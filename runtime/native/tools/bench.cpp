// The engine without Python, for devices: measures a bundle, upscales a picture, or is the worker of a measurement.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "tools/benchmark.h"
#include "tools/picture.h"
#include "tools/upscale.h"
#include "tools/worker.h"

namespace {

void help() {
    std::printf("sparsr_bench --bundle=DIR [flags]: measures, prints JSON\n%s\n"
                "sparsr_bench upscale BUNDLE IN OUT [flags]: enlarges a picture (%s)\n%s\n"
                "sparsr_bench: the worker of `sparsr bench run`\n",
                benchmark_help().c_str(), picture_formats().c_str(), upscale_help().c_str());
}

}  // namespace

int main(int count, char** words) {
    std::vector<std::string> arguments(words + 1, words + count);
    if (arguments.empty()) return serve();
    try {
        if (arguments[0] == "--help") return help(), 0;
        if (arguments[0] != "upscale") return benchmark(arguments);
        return upscale({arguments.begin() + 1, arguments.end()});
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "sparsr_bench: %s\n", exception.what());
        return 2;
    }
}
