// A small JSON reader for the header of model files: strict, bounded in depth, no extensions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sparsr {

class Json {
public:
    enum class Type { null, boolean, number, string, array, object };

    // Parses one value that fills `text`; throws Error.
    static Json parse(std::string_view text);

    Type type() const { return type_; }
    // The member `key` of an object; null if there is none or this is no object.
    const Json* find(std::string_view key) const;

    // These throw Error naming `what` if the value is of another type or out of range.
    const Json& at(std::string_view key) const;
    const std::string& string(const char* what) const;
    double number(const char* what) const;
    int64_t integer(const char* what, int64_t low, int64_t high) const;
    const std::vector<Json>& array(const char* what) const;
    const std::vector<std::pair<std::string, Json>>& object(const char* what) const;

private:
    friend class JsonParser;
    Type type_ = Type::null;
    double number_ = 0;
    std::string string_;
    std::vector<Json> array_;
    std::vector<std::pair<std::string, Json>> object_;
};

}  // namespace sparsr
