// Text without streams: those bring the C++ library's locales along, which are larger than the engine, look at the
// process's locale, and cannot be had for every system.
#pragma once

#include <charconv>
#include <string>
#include <type_traits>

namespace sparsr {

// Appends to a text, numbers as JSON writes them: the shortest that is read back the same.
class TextWriter {
public:
    TextWriter& operator<<(const std::string& text) {
        text_ += text;
        return *this;
    }
    TextWriter& operator<<(const char* text) {
        text_ += text;
        return *this;
    }
    template <class Number, class = std::enable_if_t<std::is_arithmetic_v<Number>>>
    TextWriter& operator<<(Number value) {
        char digits[40];
        text_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
        return *this;
    }
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

// A file's content, cut after so many bytes. False if it cannot be read.
bool read_file(const std::string& path, size_t most, std::string& content);
// False if it cannot be written whole.
bool write_file(const std::string& path, const std::string& content);

}  // namespace sparsr
