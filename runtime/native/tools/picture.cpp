#include "tools/picture.h"

#include <algorithm>
#include <cctype>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "tools/device.h"
#include "tools/flags.h"

#ifdef SPARSR_PNG
#include <png.h>
#endif
#ifdef SPARSR_JPEG
#include <jpeglib.h>
#endif

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

bool write_ppm(FILE* file, const Picture& picture) {
    std::fprintf(file, "P6\n%d %d\n255\n", picture.width, picture.height);
    return std::fwrite(picture.pixels.data(), 1, picture.pixels.size(), file) == picture.pixels.size();
}

#ifdef SPARSR_PNG
Picture read_png(const std::vector<char>& file, const std::string& path) {
    Picture picture;
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    const png_color white{255, 255, 255};
    bool done = png_image_begin_read_from_memory(&image, file.data(), file.size()) != 0;
    if (done) {
        image.format = PNG_FORMAT_RGB;
        try {
            picture.resize(int(std::min<png_uint_32>(image.width, INT32_MAX)), int(std::min<png_uint_32>(image.height, INT32_MAX)));
        } catch (...) {
            png_image_free(&image);
            throw;
        }
        done = png_image_finish_read(&image, &white, picture.pixels.data(), picture.width * 3, nullptr) != 0;
    }
    if (!done) fail(path + " is no PNG that can be read: " + image.message);
    return picture;
}

bool write_png(FILE* file, const Picture& picture) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = png_uint_32(picture.width), image.height = png_uint_32(picture.height);
    image.format = PNG_FORMAT_RGB;
    return png_image_write_to_stdio(&image, file, 0, picture.pixels.data(), picture.width * 3, nullptr) != 0;
}
#endif

#ifdef SPARSR_JPEG
// libjpeg reports errors by jumping back; between here and there nothing may need to be destroyed.
struct Errors {
    jpeg_error_mgr manager;
    jmp_buf back;
    char message[JMSG_LENGTH_MAX];
};

void jump_back(j_common_ptr codec) {
    Errors* errors = reinterpret_cast<Errors*>(codec->err);
    codec->err->format_message(codec, errors->message);
    longjmp(errors->back, 1);
}

jpeg_error_mgr* prepare(Errors& errors) {
    jpeg_std_error(&errors.manager);
    errors.manager.error_exit = jump_back;
    errors.manager.output_message = [](j_common_ptr) {};
    return &errors.manager;
}

// Opens the file's header, then with `pixels` its content; false, with a message, for no JPEG.
bool decode(jpeg_decompress_struct& codec, Errors& errors, const std::vector<char>& file) {
    codec.err = prepare(errors);
    if (setjmp(errors.back)) return false;
    jpeg_create_decompress(&codec);
    jpeg_mem_src(&codec, reinterpret_cast<const unsigned char*>(file.data()), static_cast<unsigned long>(file.size()));
    jpeg_read_header(&codec, TRUE);
    codec.out_color_space = JCS_RGB;
    return true;
}

bool decode_rows(jpeg_decompress_struct& codec, Errors& errors, unsigned char* pixels) {
    if (setjmp(errors.back)) return false;
    jpeg_start_decompress(&codec);
    const size_t row = size_t(codec.output_width) * 3;
    while (codec.output_scanline < codec.output_height) {
        JSAMPROW line = pixels + row * codec.output_scanline;
        jpeg_read_scanlines(&codec, &line, 1);
    }
    jpeg_finish_decompress(&codec);
    return true;
}

Picture read_jpeg(const std::vector<char>& file, const std::string& path) {
    jpeg_decompress_struct codec{};
    Errors errors{};
    struct Guard {
        jpeg_decompress_struct& codec;
        ~Guard() { jpeg_destroy_decompress(&codec); }
    } const guard{codec};
    Picture picture;
    bool done = decode(codec, errors, file);
    if (done) {
        picture.resize(int(codec.image_width), int(codec.image_height));
        done = decode_rows(codec, errors, picture.pixels.data());
    }
    if (!done) fail(path + " is no JPEG that can be read: " + errors.message);
    return picture;
}

bool write_jpeg(FILE* file, const Picture& picture, int quality) {
    jpeg_compress_struct codec{};
    Errors errors{};
    codec.err = prepare(errors);
    if (setjmp(errors.back)) {
        jpeg_destroy_compress(&codec);
        return false;
    }
    jpeg_create_compress(&codec);
    jpeg_stdio_dest(&codec, file);
    codec.image_width = JDIMENSION(picture.width), codec.image_height = JDIMENSION(picture.height);
    codec.input_components = 3, codec.in_color_space = JCS_RGB;
    jpeg_set_defaults(&codec);
    jpeg_set_quality(&codec, quality, TRUE);
    jpeg_start_compress(&codec, TRUE);
    while (codec.next_scanline < codec.image_height) {
        JSAMPROW line = const_cast<unsigned char*>(picture.pixels.data()) + size_t(codec.next_scanline) * size_t(picture.width) * 3;
        jpeg_write_scanlines(&codec, &line, 1);
    }
    jpeg_finish_compress(&codec);
    jpeg_destroy_compress(&codec);
    return true;
}
#endif

std::string ending(const std::string& path) {
    std::string end = path.substr(std::min(path.size(), path.rfind('.')));
    for (char& letter : end) letter = char(std::tolower(static_cast<unsigned char>(letter)));
    return end == ".jpeg" ? ".jpg" : end;
}

bool write_as(const std::string& kind, FILE* file, const Picture& picture, [[maybe_unused]] int quality) {
    if (kind == ".ppm") return write_ppm(file, picture);
#ifdef SPARSR_PNG
    if (kind == ".png") return write_png(file, picture);
#endif
#ifdef SPARSR_JPEG
    if (kind == ".jpg") return write_jpeg(file, picture, quality);
#endif
    return false;
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

Picture read_picture(const std::string& path) {
    const std::vector<char> file = read_file(path);
    if (begins(file, "P6", 2)) return read_ppm(file, path);
#ifdef SPARSR_PNG
    if (begins(file, "\x89PNG", 4)) return read_png(file, path);
#endif
#ifdef SPARSR_JPEG
    if (begins(file, "\xff\xd8\xff", 3)) return read_jpeg(file, path);
#endif
    fail(path + " is not a picture this program reads: it was built for " + picture_formats());
}

void require_format(const std::string& path) {
    const std::string kind = ending(path);
    if (kind.empty() || (", " + picture_formats() + ",").find(", " + kind + ",") == std::string::npos)
        fail(path + " cannot be written: this program writes " + picture_formats());
}

void write_picture(const std::string& path, const Picture& picture, int jpeg_quality) {
    require_format(path);
    const std::string kind = ending(path), part = path + ".part";
    FILE* file = std::fopen(part.c_str(), "wb");
    if (!file) fail("cannot write " + path);
    bool whole = write_as(kind, file, picture, jpeg_quality);
    whole = std::fclose(file) == 0 && whole;
    if (whole && std::rename(part.c_str(), path.c_str()) == 0) return;
    std::remove(part.c_str());
    fail("cannot write " + path);
}
