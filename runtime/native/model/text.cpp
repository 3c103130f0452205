#include "model/text.h"

#include <algorithm>
#include <cstdio>
#include <memory>

namespace sparsr {

namespace {

struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

}  // namespace

bool read_file(const std::string& path, size_t most, std::string& content) {
    const File file(std::fopen(path.c_str(), "rb"));
    if (!file) return false;
    content.clear();
    char piece[4096];
    while (content.size() < most) {
        const size_t count = std::fread(piece, 1, std::min(sizeof piece, most - content.size()), file.get());
        if (!count) break;
        content.append(piece, count);
    }
    return !std::ferror(file.get());
}

bool write_file(const std::string& path, const std::string& content) {
    File file(std::fopen(path.c_str(), "wb"));
    if (!file) return false;
    const bool whole = std::fwrite(content.data(), 1, content.size(), file.get()) == content.size();
    return std::fclose(file.release()) == 0 && whole;
}

}  // namespace sparsr
