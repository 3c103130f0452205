// Damaged files are refused, in words.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "error.h"
#include "model/json.h"
#include "model/safetensors.h"

using namespace sparsr;

namespace {

std::string file(const std::string& header, size_t data, size_t claimed) {
    std::string bytes(8, '\0');
    const uint64_t length = claimed;
    std::memcpy(bytes.data(), &length, 8);
    return bytes + header + std::string(data, '\1');
}
std::string file(const std::string& header, size_t data) { return file(header, data, header.size()); }

}  // namespace

TEST_CASE("JSON is read as it is written") {
    const Json value = Json::parse(R"( {"a": [1, -2.5e3, "x\u00e9\n"], "b": {"c": true}} )");
    CHECK(value.at("a").array("a")[1].number("n") == -2500);
    CHECK(value.at("a").array("a")[2].string("s") == "x\xc3\xa9\n");
    CHECK(value.at("b").find("c")->type() == Json::Type::boolean);
    CHECK(value.find("d") == nullptr);
}

TEST_CASE("what is no JSON is refused") {
    for (const std::string text : {"", "{", "[1,]", "{\"a\" 1}", "01", "1 2", "\"\\x\"", "nul", "[1", "\"a", "NaN", "{\"a\":1,}", "+1", ".5", "1.", "1e", "--1", "1e999"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(Json::parse(text), Error);
    }
    CHECK_THROWS_AS(Json::parse(std::string(100000, '[')), Error);  // nor does it end in a stack overflow
    CHECK_THROWS_AS(Json::parse("1.5").integer("n", 0, 9), Error);
    CHECK_THROWS_AS(Json::parse("10").integer("n", 0, 9), Error);
}

TEST_CASE("tensors lie inside their file") {
    const std::string whole = file(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
    CHECK(Safetensors(whole.data(), whole.size()).floats("w").size() == 2);
    for (const std::string& bad : {
             file(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4),
             file(R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8),
             file(R"({"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8),
             file(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8),
             file(R"({"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})", 8),
             file("{}", 0, size_t(-1)),
             file("{}", 0, 1000),
             std::string("short"),
         }) {
        CAPTURE(bad.substr(std::min<size_t>(8, bad.size())));
        CHECK_THROWS_AS(Safetensors(bad.data(), bad.size()), Error);
    }
}
