#include <cstdio>

#include <jpeglib.h>

#include <csetjmp>
#include <cstdlib>
#include <cstring>

#include "tools/codecs.h"
#include "tools/device.h"
#include "tools/orientation.h"

namespace {

constexpr int exif_marker = JPEG_APP0 + 1, profile_marker = JPEG_APP0 + 2, longest_marker = 0xFFFF;

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

// Opens the file's header; false, with a message, for no JPEG.
bool open_header(jpeg_decompress_struct& codec, Errors& errors, const std::vector<char>& file) {
    codec.err = prepare(errors);
    if (setjmp(errors.back)) return false;
    jpeg_create_decompress(&codec);
    jpeg_mem_src(&codec, reinterpret_cast<const unsigned char*>(file.data()), static_cast<unsigned long>(file.size()));
    jpeg_save_markers(&codec, exif_marker, longest_marker);
    jpeg_save_markers(&codec, profile_marker, longest_marker);
    jpeg_read_header(&codec, TRUE);
    codec.out_color_space = JCS_RGB;
    return true;
}

bool read_rows(jpeg_decompress_struct& codec, Errors& errors, unsigned char* pixels) {
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

void read_markers(jpeg_decompress_struct& codec, Picture& picture) {
    for (jpeg_saved_marker_ptr marker = codec.marker_list; marker; marker = marker->next)
        if (marker->marker == exif_marker && marker->data_length >= 6 && !std::memcmp(marker->data, "Exif\0\0", 6)) {
            picture.orientation = exif_orientation(marker->data, marker->data_length);
            break;
        }
    JOCTET* profile = nullptr;
    unsigned size = 0;
    // A grey picture becomes one of colours, which its profile is not for.
    if (codec.num_components == 3 && jpeg_read_icc_profile(&codec, &profile, &size))
        picture.profile.assign(profile, profile + size);
    std::free(profile);
}

class Writer : public RowWriter {
public:
    Writer(FILE* file, int width, int height, const std::vector<unsigned char>& profile, int quality) {
        codec_.err = prepare(errors_);
        good_ = begin(file, width, height, profile, quality);
    }
    ~Writer() override { jpeg_destroy_compress(&codec_); }
    bool write(const unsigned char* row) override {
        if (!good_ || setjmp(errors_.back)) return good_ = false;
        JSAMPROW line = const_cast<unsigned char*>(row);
        jpeg_write_scanlines(&codec_, &line, 1);
        return true;
    }
    bool finish() override {
        if (!good_ || setjmp(errors_.back)) return good_ = false;
        jpeg_finish_compress(&codec_);
        return true;
    }

private:
    bool begin(FILE* file, int width, int height, const std::vector<unsigned char>& profile, int quality) {
        if (setjmp(errors_.back)) return false;
        jpeg_create_compress(&codec_);
        jpeg_stdio_dest(&codec_, file);
        codec_.image_width = JDIMENSION(width), codec_.image_height = JDIMENSION(height);
        codec_.input_components = 3, codec_.in_color_space = JCS_RGB;
        jpeg_set_defaults(&codec_);
        jpeg_set_quality(&codec_, quality, TRUE);
        jpeg_start_compress(&codec_, TRUE);
        if (!profile.empty()) jpeg_write_icc_profile(&codec_, profile.data(), unsigned(profile.size()));
        return true;
    }

    jpeg_compress_struct codec_{};
    Errors errors_{};
    bool good_ = false;
};

}  // namespace

Picture read_jpeg(const std::vector<char>& file, const std::string& path) {
    jpeg_decompress_struct codec{};
    Errors errors{};
    struct Guard {
        jpeg_decompress_struct& codec;
        ~Guard() { jpeg_destroy_decompress(&codec); }
    } const guard{codec};
    Picture picture;
    bool done = open_header(codec, errors, file);
    if (done) {
        picture.resize(int(codec.image_width), int(codec.image_height));
        read_markers(codec, picture);
        done = read_rows(codec, errors, picture.pixels.data());
    }
    if (!done) fail(path + " is no JPEG that can be read: " + errors.message);
    return picture;
}

std::unique_ptr<RowWriter> jpeg_writer(FILE* file, int width, int height, const std::vector<unsigned char>& profile, int quality) {
    return std::make_unique<Writer>(file, width, height, profile, quality);
}
