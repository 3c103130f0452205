#include "model/json.h"

#include <cmath>
#include <cstdlib>

#include "error.h"

namespace sparsr {

constexpr const char* bad_number = "the JSON text holds a bad number";

class JsonParser {
public:
    explicit JsonParser(std::string_view text) : text_(text) {}

    Json document() {
        Json value = parse_value(0);
        skip_space();
        require(at_ == text_.size(), "the JSON text goes on after its end");
        return value;
    }

private:
    static constexpr int max_depth = 32;

    Json parse_value(int depth) {
        require(depth < max_depth, "the JSON text is nested too deeply");
        skip_space();
        Json value;
        switch (peek()) {
            case '{': parse_object(value, depth); break;
            case '[': parse_array(value, depth); break;
            case '"':
                value.type_ = Json::Type::string;
                value.string_ = parse_string();
                break;
            case 't': parse_word(value, "true", Json::Type::boolean, 1); break;
            case 'f': parse_word(value, "false", Json::Type::boolean, 0); break;
            case 'n': parse_word(value, "null", Json::Type::null, 0); break;
            default: parse_number(value);
        }
        return value;
    }

    void parse_object(Json& value, int depth) {
        value.type_ = Json::Type::object;
        ++at_;
        if (accept('}')) return;
        do {
            skip_space();
            require(peek() == '"', "a JSON object's key is not a string");
            std::string key = parse_string();
            require(accept(':'), "a JSON object lacks a colon");
            value.object_.emplace_back(std::move(key), parse_value(depth + 1));
        } while (accept(','));
        require(accept('}'), "a JSON object does not end");
    }

    void parse_array(Json& value, int depth) {
        value.type_ = Json::Type::array;
        ++at_;
        if (accept(']')) return;
        do value.array_.push_back(parse_value(depth + 1));
        while (accept(','));
        require(accept(']'), "a JSON array does not end");
    }

    void parse_word(Json& value, std::string_view word, Json::Type type, double number) {
        require(text_.substr(at_, word.size()) == word, "the JSON text holds an unknown word");
        at_ += word.size();
        value.type_ = type;
        value.number_ = number;
    }

    void parse_number(Json& value) {
        const size_t begin = at_;
        if (peek() == '-') ++at_;
        const char first = peek();
        require(skip_digits() == 1 || first != '0', bad_number);
        if (peek() == '.') {
            ++at_;
            skip_digits();
        }
        if (peek() == 'e' || peek() == 'E') {
            ++at_;
            if (peek() == '+' || peek() == '-') ++at_;
            skip_digits();
        }
        value.type_ = Json::Type::number;
        value.number_ = std::strtod(std::string(text_.substr(begin, at_ - begin)).c_str(), nullptr);
        require(std::isfinite(value.number_), bad_number);
    }

    // One at least.
    size_t skip_digits() {
        const size_t begin = at_;
        while (peek() >= '0' && peek() <= '9') ++at_;
        require(at_ > begin, bad_number);
        return at_ - begin;
    }

    std::string parse_string() {
        std::string result;
        for (++at_;;) {
            const char c = take();
            if (c == '"') return result;
            require(static_cast<unsigned char>(c) >= 0x20, "a JSON string holds a control character");
            if (c == '\\')
                parse_escape(result);
            else
                result += c;
        }
    }

    void parse_escape(std::string& result) {
        const char c = take();
        const size_t known = std::string_view("\"\\/bfnrt").find(c);
        if (known != std::string_view::npos) {
            result += "\"\\/\b\f\n\r\t"[known];
            return;
        }
        require(c == 'u', "a JSON string holds an unknown escape");
        append_utf8(result, parse_code_point());
    }

    uint32_t parse_code_point() {
        const uint32_t high = parse_hex();
        if (high < 0xD800 || high > 0xDFFF) return high;
        require(high < 0xDC00 && take() == '\\' && take() == 'u', "a JSON string holds half a surrogate pair");
        const uint32_t low = parse_hex();
        require(low >= 0xDC00 && low <= 0xDFFF, "a JSON string holds half a surrogate pair");
        return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }

    uint32_t parse_hex() {
        uint32_t code = 0;
        for (int i = 0; i < 4; ++i) {
            const char c = take();
            const size_t digit = std::string_view("0123456789abcdef").find(c >= 'A' && c <= 'F' ? char(c + 32) : c);
            require(digit != std::string_view::npos, "a JSON string holds a bad escape");
            code = code * 16 + uint32_t(digit);
        }
        return code;
    }

    static void append_utf8(std::string& text, uint32_t code) {
        if (code < 0x80) {
            text += char(code);
            return;
        }
        const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        text += char((0xF00 >> (more + 1) & 0xFF) | code >> (6 * more));
        for (int i = more - 1; i >= 0; --i) text += char(0x80 | (code >> (6 * i) & 0x3F));
    }

    void skip_space() {
        while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
    }
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    char take() {
        require(at_ < text_.size(), "the JSON text is cut short");
        return text_[at_++];
    }
    bool accept(char c) {
        skip_space();
        if (peek() != c) return false;
        ++at_;
        return true;
    }

    std::string_view text_;
    size_t at_ = 0;
};

Json Json::parse(std::string_view text) { return JsonParser(text).document(); }

const Json* Json::find(std::string_view key) const {
    for (const auto& [name, value] : object_)
        if (name == key) return &value;
    return nullptr;
}

const Json& Json::at(std::string_view key) const {
    const Json* value = find(key);
    require(value, "the entry \"" + std::string(key) + "\" is missing");
    return *value;
}

const std::string& Json::string(const char* what) const {
    require(type_ == Type::string, std::string(what) + " is not a string");
    return string_;
}

double Json::number(const char* what) const {
    require(type_ == Type::number, std::string(what) + " is not a number");
    return number_;
}

int64_t Json::integer(const char* what, int64_t low, int64_t high) const {
    const double value = number(what);
    require(value == std::floor(value) && value >= double(low) && value <= double(high),
            std::string(what) + " is not a whole number from " + std::to_string(low) + " to " + std::to_string(high));
    return int64_t(value);
}

const std::vector<Json>& Json::array(const char* what) const {
    require(type_ == Type::array, std::string(what) + " is not a list");
    return array_;
}

const std::vector<std::pair<std::string, Json>>& Json::object(const char* what) const {
    require(type_ == Type::object, std::string(what) + " is not an object");
    return object_;
}

}  // namespace sparsr
