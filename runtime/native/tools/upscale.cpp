#include "tools/upscale.h"

#include <sys/stat.h>

#include <cstdio>
#include <thread>

#include "tools/device.h"
#include "tools/flags.h"
#include "tools/network.h"
#include "tools/picture.h"

namespace {

const std::vector<std::string> known = {
    "num_threads=N       (as many as there are cores)",
    "isa=NAME            instruction set, for example avx2 or fp16 (the best there is)",
    "quality=N           of a JPEG, 1 to 100 (95)",
};

}  // namespace

std::string upscale_help() {
    std::string help;
    for (const std::string& flag : known) help += "  --" + flag + "\n";
    return help;
}

int upscale(const std::vector<std::string>& arguments) {
    if (arguments.size() < 3) fail("give a bundle or model, a picture and the result's name; --help tells more");
    PictureFile::require_format(arguments[2]);
    const Flags flags({arguments.begin() + 3, arguments.end()}, known);
    const int cores = int(std::thread::hardware_concurrency());
    struct stat status;
    const bool bundle = stat(arguments[0].c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    Network network(bundle ? arguments[0] + "/model.safetensors" : arguments[0], flags.text("isa", ""),
                    flags.number("num_threads", cores < 1 ? 1 : cores, 1, 1024));
    const Picture picture = read_picture(arguments[1]);
    network.set_size(picture.width, picture.height);
    PictureFile result(arguments[2], network.out_width(), network.out_height(), picture.profile,
                       flags.number("quality", 95, 1, 100));
    if (!network.run_rows(SPARSR_UINT8, picture.pixels.data(), [&](const void* row) { return result.write(row); }))
        fail("cannot write " + arguments[2]);
    result.finish();
    std::printf("%s: %dx%d\n", arguments[2].c_str(), network.out_width(), network.out_height());
    return 0;
}
