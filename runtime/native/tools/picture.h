// Pictures in files: PNG and JPEG where the libraries were there to build with, binary PPM always.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

// 8-bit RGB, row by row without gaps.
struct Picture {
    int width = 0, height = 0;
    std::vector<unsigned char> pixels;
    std::vector<unsigned char> profile;  // ICC; empty: sRGB, or nobody knows
    int orientation = 1;                 // as EXIF counts: how to turn it for looking at it

    // Throws a sentence if it is too large.
    void resize(int new_width, int new_height);
};

// By its content, turned as its EXIF says. Transparent parts become white, 16 bits become 8. Throws a sentence.
Picture read_picture(const std::string& path);
// The endings that can be written, for people.
std::string picture_formats();

// Takes the rows of a picture as they come.
class RowWriter {
public:
    virtual ~RowWriter() = default;
    // These return false if the file cannot be written.
    virtual bool write(const unsigned char* row) = 0;
    virtual bool finish() = 0;
};

// A picture's file, by the name's ending; under another name until it is complete.
class PictureFile {
public:
    // Throws a sentence if the ending is of no format that can be written.
    static void require_format(const std::string& path);

    // Of a picture so large, with an ICC profile or none. Throws a sentence if it cannot be written.
    PictureFile(const std::string& path, int width, int height, const std::vector<unsigned char>& profile, int jpeg_quality);
    PictureFile(const PictureFile&) = delete;
    PictureFile& operator=(const PictureFile&) = delete;
    ~PictureFile();
    bool write(const void* row) { return writer_->write(static_cast<const unsigned char*>(row)); }
    // Throws a sentence if the file is not whole.
    void finish();

private:
    std::string path_, part_;
    FILE* file_;
    std::unique_ptr<RowWriter> writer_;
};
