#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdint>
#include <cstring>

#include "tools/codecs.h"
#include "tools/device.h"
#include "tools/orientation.h"

namespace {

constexpr size_t longest_message = 200;
constexpr int compression = 4;  // of zlib: 6 is a third slower for about 1 % smaller photos

// libpng reports errors by jumping back; between here and there nothing may need to be destroyed.
void jump_back(png_structp png, png_const_charp message) {
    if (auto* kept = static_cast<char*>(png_get_error_ptr(png))) std::strncpy(kept, message, longest_message - 1);
    png_longjmp(png, 1);
}

void say_nothing(png_structp, png_const_charp) {}

struct Reading {
    const std::vector<char>& file;
    size_t at = 0;
    png_structp png = nullptr;
    png_infop info = nullptr;
    char message[longest_message] = "";
    png_uint_32 exif_size = 0, profile_size = 0;
    png_bytep exif = nullptr, profile = nullptr;

    ~Reading() { png_destroy_read_struct(&png, &info, nullptr); }
};

void read_bytes(png_structp png, png_bytep to, png_size_t count) {
    Reading& reading = *static_cast<Reading*>(png_get_io_ptr(png));
    if (reading.file.size() - reading.at < count) png_error(png, "it is cut off");
    std::memcpy(to, reading.file.data() + reading.at, count);
    reading.at += count;
}

// Opens the file's header; from there on rows come as RGBA of 8 bits. False, with a message, for no PNG.
bool open_header(Reading& reading) {
    png_structp png = reading.png;
    if (setjmp(png_jmpbuf(png))) return false;
    png_set_read_fn(png, &reading, read_bytes);
    png_read_info(png, reading.info);
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 255, PNG_FILLER_AFTER);
    png_set_interlace_handling(png);
    png_read_update_info(png, reading.info);
    png_charp name = nullptr;
    int method = 0;
    if (!(png_get_color_type(png, reading.info) & PNG_COLOR_MASK_COLOR) ||
        !png_get_iCCP(png, reading.info, &name, &method, &reading.profile, &reading.profile_size))
        reading.profile_size = 0;
    if (!png_get_eXIf_1(png, reading.info, &reading.exif_size, &reading.exif)) reading.exif_size = 0;
    return true;
}

bool read_rows(Reading& reading, png_bytepp rows) {
    if (setjmp(png_jmpbuf(reading.png))) return false;
    png_read_image(reading.png, rows);
    return true;
}

class Writer : public RowWriter {
public:
    Writer(FILE* file, int width, int height, const std::vector<unsigned char>& profile)
        : png_(png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, jump_back, say_nothing)),
          info_(png_ ? png_create_info_struct(png_) : nullptr) {
        good_ = info_ && begin(file, width, height, profile);
    }
    ~Writer() override { png_destroy_write_struct(&png_, &info_); }
    bool write(const unsigned char* row) override {
        if (!good_ || setjmp(png_jmpbuf(png_))) return good_ = false;
        png_write_row(png_, row);
        return true;
    }
    bool finish() override {
        if (!good_ || setjmp(png_jmpbuf(png_))) return good_ = false;
        png_write_end(png_, info_);
        return true;
    }

private:
    bool begin(FILE* file, int width, int height, const std::vector<unsigned char>& profile) {
        if (setjmp(png_jmpbuf(png_))) return false;
        png_set_benign_errors(png_, 1);  // a strange profile is left out
        png_init_io(png_, file);
        png_set_compression_level(png_, compression);
        png_set_IHDR(png_, info_, png_uint_32(width), png_uint_32(height), 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        if (!profile.empty())
            png_set_iCCP(png_, info_, "ICC profile", PNG_COMPRESSION_TYPE_BASE, profile.data(), png_uint_32(profile.size()));
        png_write_info(png_, info_);
        return true;
    }

    png_structp png_;
    png_infop info_;
    bool good_ = false;
};

}  // namespace

Picture read_png(const std::vector<char>& file, const std::string& path) {
    Reading reading{file};
    reading.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reading.message, jump_back, say_nothing);
    reading.info = reading.png ? png_create_info_struct(reading.png) : nullptr;
    if (!reading.info) fail("there is no memory to read " + path);
    const auto refuse = [&] { fail(path + " is no PNG that can be read: " + reading.message); };
    if (!open_header(reading)) refuse();
    Picture picture;
    const png_uint_32 largest = INT32_MAX, wide = png_get_image_width(reading.png, reading.info);
    picture.resize(int(std::min(wide, largest)), int(std::min(png_get_image_height(reading.png, reading.info), largest)));
    if (reading.profile_size) picture.profile.assign(reading.profile, reading.profile + reading.profile_size);
    if (reading.exif_size) picture.orientation = exif_orientation(reading.exif, reading.exif_size);
    const size_t row = size_t(picture.width) * 4;
    std::vector<unsigned char> pixels(row * size_t(picture.height));
    std::vector<png_bytep> rows(size_t(picture.height));
    for (size_t y = 0; y < rows.size(); ++y) rows[y] = pixels.data() + y * row;
    if (!read_rows(reading, rows.data())) refuse();
    for (size_t i = 0; i < picture.pixels.size(); ++i) {
        const unsigned opacity = pixels[i / 3 * 4 + 3], value = pixels[i / 3 * 4 + i % 3];
        picture.pixels[i] = static_cast<unsigned char>((value * opacity + 255 * (255 - opacity) + 127) / 255);
    }
    return picture;
}

std::unique_ptr<RowWriter> png_writer(FILE* file, int width, int height, const std::vector<unsigned char>& profile) {
    return std::make_unique<Writer>(file, width, height, profile);
}
