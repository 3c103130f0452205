#include "tools/picture.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <utility>

#include "tools/codecs.h"
#include "tools/device.h"
#include "tools/flags.h"
#include "tools/orientation.h"

namespace {

constexpr int longest_side = 1 << 16;
constexpr uint64_t most_pixels = uint64_t(1) << 28;

bool begins(const std::vector<char>& content, const char* magic, size_t length) {
    return content.size() >= length && std::memcmp(content.data(), magic, length) == 0;
}

// The next number of a PPM header; comments are not supported.
int header_number(const std::vector<char>& file, size_t& at, const std::string& path) {
    while (at < file.size() && std::isspace(static_cast<unsigned char>(file[at]))) ++at;
    std::string digits;
    while (at < file.size() && digits.size() < 9 && std::isdigit(static_cast<unsigned char>(file[at]))) digits += file[at++];
    return whole_number("a number in the header of " + path, digits, 1, longest_side);
}

Picture read_ppm(const std::vector<char>& file, const std::string& path) {
    Picture picture;
    size_t at = 2;
    const int width = header_number(file, at, path), height = header_number(file, at, path);
    if (header_number(file, at, path) != 255) fail(path + " does not have 255 as its largest value");
    ++at;
    if (file.size() < at || file.size() - at < size_t(width) * size_t(height) * 3) fail(path + " is cut off");
    picture.resize(width, height);
    std::memcpy(picture.pixels.data(), file.data() + at, picture.pixels.size());
    return picture;
}

class PpmWriter : public RowWriter {
public:
    PpmWriter(FILE* file, int width, int height) : file_(file), row_bytes_(size_t(width) * 3) {
        std::fprintf(file, "P6\n%d %d\n255\n", width, height);
    }
    bool write(const unsigned char* row) override { return std::fwrite(row, 1, row_bytes_, file_) == row_bytes_; }
    bool finish() override { return true; }

private:
    FILE* file_;
    size_t row_bytes_;
};

std::string ending(const std::string& path) {
    std::string end = path.substr(std::min(path.size(), path.rfind('.')));
    for (char& letter : end) letter = char(std::tolower(static_cast<unsigned char>(letter)));
    return end == ".jpeg" ? ".jpg" : end;
}

Picture decoded(const std::vector<char>& file, const std::string& path) {
    if (begins(file, "P6", 2)) return read_ppm(file, path);
#ifdef SPARSR_PNG
    if (begins(file, "\x89PNG", 4)) return read_png(file, path);
#endif
#ifdef SPARSR_JPEG
    if (begins(file, "\xff\xd8\xff", 3)) return read_jpeg(file, path);
#endif
    fail(path + " is not a picture this program reads: it was built for " + picture_formats());
}

std::unique_ptr<RowWriter> row_writer([[maybe_unused]] const std::string& kind, FILE* file, int width, int height,
                                      [[maybe_unused]] const std::vector<unsigned char>& profile,
                                      [[maybe_unused]] int quality) {
#ifdef SPARSR_PNG
    if (kind == ".png") return png_writer(file, width, height, profile);
#endif
#ifdef SPARSR_JPEG
    if (kind == ".jpg") return jpeg_writer(file, width, height, profile, quality);
#endif
    return std::make_unique<PpmWriter>(file, width, height);
}

}  // namespace

void Picture::resize(int new_width, int new_height) {
    if (new_width < 1 || new_height < 1 || uint64_t(new_width) * uint64_t(new_height) > most_pixels)
        fail("a picture of " + std::to_string(new_width) + "x" + std::to_string(new_height) + " is too large");
    width = new_width, height = new_height;
    pixels.resize(size_t(width) * size_t(height) * 3);
}

std::string picture_formats() {
    std::string formats = ".ppm";
#ifdef SPARSR_PNG
    formats += ", .png";
#endif
#ifdef SPARSR_JPEG
    formats += ", .jpg";
#endif
    return formats;
}

Picture read_picture(const std::string& path) { return upright(decoded(read_file(path), path)); }

void PictureFile::require_format(const std::string& path) {
    const std::string kind = ending(path);
    if (kind.empty() || (", " + picture_formats() + ",").find(", " + kind + ",") == std::string::npos)
        fail(path + " cannot be written: this program writes " + picture_formats());
}

PictureFile::PictureFile(const std::string& path, int width, int height, const std::vector<unsigned char>& profile, int quality)
    : path_(path), part_(path + ".part"), file_(std::fopen(part_.c_str(), "wb")) {
    if (!file_) fail("cannot write " + path);
    writer_ = row_writer(ending(path), file_, width, height, profile, quality);
}

PictureFile::~PictureFile() {
    writer_.reset();
    if (file_) std::fclose(file_);
    std::remove(part_.c_str());
}

void PictureFile::finish() {
    const bool written = writer_->finish();
    const bool whole = std::fclose(std::exchange(file_, nullptr)) == 0 && written;
    if (!whole || std::rename(part_.c_str(), path_.c_str())) fail("cannot write " + path_);
}
