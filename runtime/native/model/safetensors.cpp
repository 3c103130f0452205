#include "model/safetensors.h"

#include <cstring>

#include "error.h"
#include "model/json.h"

namespace sparsr {

namespace {

constexpr uint64_t max_header = 4 << 20;
constexpr int64_t max_side = int64_t(1) << 40;

size_t element_size(const std::string& dtype) {
    if (dtype == "F32") return 4;
    if (dtype == "U8") return 1;
    throw Error("the model file holds a tensor of type " + dtype + ", which programs do not use");
}

StoredTensor read_tensor(const Json& entry, const unsigned char* data, size_t size) {
    StoredTensor tensor;
    tensor.dtype = entry.at("dtype").string("a tensor's type");
    uint64_t bytes = element_size(tensor.dtype);
    for (const Json& side : entry.at("shape").array("a tensor's shape")) {
        tensor.shape.push_back(side.integer("a tensor's side", 0, max_side));
        const auto elements = uint64_t(tensor.shape.back());
        require(!elements || bytes <= UINT64_MAX / elements, "a tensor is too large");
        bytes *= elements;
    }
    const auto& offsets = entry.at("data_offsets").array("a tensor's place");
    require(offsets.size() == 2, "a tensor's place is not two numbers");
    const auto begin = uint64_t(offsets[0].integer("a tensor's place", 0, int64_t(size)));
    const auto end = uint64_t(offsets[1].integer("a tensor's place", int64_t(begin), int64_t(size)));
    require(end - begin == bytes, "a tensor's place and shape disagree");
    tensor.data = data + begin;
    tensor.elements = size_t(bytes / element_size(tensor.dtype));
    return tensor;
}

}  // namespace

Safetensors::Safetensors(const void* data, size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    require(size > 8, "the model file is cut short");
    uint64_t length = 0;
    for (int i = 7; i >= 0; --i) length = length << 8 | bytes[i];
    require(length <= max_header && length <= size - 8, "the model file is damaged or not a safetensors file");
    const Json header = Json::parse({reinterpret_cast<const char*>(bytes + 8), size_t(length)});
    for (const auto& [name, entry] : header.object("the model file's header")) {
        if (name == "__metadata__")
            for (const auto& [key, value] : entry.object("the metadata")) metadata[key] = value.string("metadata");
        else
            tensors[name] = read_tensor(entry, bytes + 8 + length, size - 8 - size_t(length));
    }
}

const StoredTensor& TensorTable::tensor(const std::string& name, const char* dtype) const {
    const auto found = tensors.find(name);
    require(found != tensors.end(), "the tensor " + name + " is missing");
    require(found->second.dtype == dtype, "the tensor " + name + " is not of type " + dtype);
    return found->second;
}

std::vector<float> TensorTable::floats(const std::string& name) const {
    const StoredTensor& stored = tensor(name, "F32");
    std::vector<float> values(stored.elements);
    if (!values.empty()) std::memcpy(values.data(), stored.data, 4 * values.size());
    return values;
}

}  // namespace sparsr
