#include "model/program.h"

#include <algorithm>
#include <cstring>

#include "error.h"
#include "model/entry.h"
#include "model/json.h"
#include "ops/activation.h"
#include "ops/operator.h"

namespace sparsr {

namespace {

constexpr int max_layers = 4096, max_scale = 64;

int integer(const Json& entry, const char* key, int low, int high) {
    return int(entry.at(key).integer(key, low, high));
}

// Throws for kinds that no operator has.
Kind kind_of(const std::string& name) {
    for (size_t i = 0; i < operator_count; ++i)
        if (const Operator& row = operator_of(Kind(i)); row.read && name == row.name) return Kind(i);
    throw Error("layers of kind " + name + " are not known");
}

void read_layer(Program& program, const Json& json, const TensorTable& tensors) {
    Layer layer{};
    layer.kind = kind_of(json.at("kind").string("a layer's kind"));
    layer.name = json.at("name").string("a layer's name");
    std::vector<int> channels;
    for (const Json& input : json.at("inputs").array("a layer's inputs")) {
        layer.inputs.push_back(int(input.integer("an input", 0, int64_t(program.channels.size()) - 1)));
        channels.push_back(program.channels[size_t(layer.inputs.back())]);
    }
    const Operator& row = operator_of(layer.kind);
    const size_t count = channels.size();
    require(count >= size_t(row.least_inputs) && count <= size_t(row.most_inputs), layer.name + " has the wrong number of inputs");
    layer.early = json.find("early") && integer(json, "early", 0, 1);
    if (const Json* kernels = json.find("kernels"))
        for (const Json& kernel : kernels->array("kernels")) layer.kernels.push_back(kernel.string("a kernel's name"));
    const Entry entry(json, tensors, std::move(channels));
    const int results = row.read(layer, entry);
    require(results >= 1 && results <= max_channels, layer.name + " has too many channels");
    if (json.find("activation")) layer.activation = read_activation(entry.part("activation"), results);
    program.channels.push_back(results);
    program.layers.push_back(std::move(layer));
}

Program read_json(const Json& json, const TensorTable& tensors) {
    Program program;
    program.input_channels = integer(json, "input_channels", 1, max_channels);
    program.scale = integer(json, "scale", 1, max_scale);
    program.minimum_size = integer(json, "minimum_size", 1, 1 << 16);
    const double range = json.at("value_range").number("value_range");
    require(range > 0 && range < 1e6, "the value range is out of range");
    program.value_range = float(range);
    program.channels.push_back(program.input_channels);
    const auto& layers = json.at("layers").array("layers");
    require(layers.size() <= max_layers, "the program has too many layers");
    for (const Json& layer : layers) read_layer(program, layer, tensors);
    program.output = integer(json, "output", 0, int(layers.size()));
    return program;
}

}  // namespace

std::vector<float> Entry::floats(const char* key, size_t count) const {
    std::vector<float> values = floats(key);
    require(values.size() == count, std::string(key) + " has the wrong number of values");
    return values;
}

float value_at(const StoredTensor& tensor, size_t index) {
    float value;
    std::memcpy(&value, tensor.data + sizeof value * index, sizeof value);
    return value;
}

double dense_weights(const Layer& layer, int channels) {
    if (layer.phases > 1) return double(layer.weights.size());
    return double(layer.outputs) * (channels / layer.groups) * layer.kernel_h * layer.kernel_w;
}

Program load_program(const void* data, size_t size) {
    const Safetensors file(data, size);
    const auto text = file.metadata.find("sparsr.program");
    require(text != file.metadata.end(), "the model file holds no program");
    return read_json(Json::parse(text->second), file);
}

Program read_program(std::string_view text, const std::vector<StoredTensor>& tensors) {
    const Json json = Json::parse(text);
    const auto& names = json.at("tensors").array("the list of tensors");
    require(names.size() == tensors.size(), "the program lists another number of tensors");
    TensorTable table;
    for (size_t i = 0; i < names.size(); ++i) table.tensors[names[i].string("a tensor's name")] = tensors[i];
    return read_json(json, table);
}

}  // namespace sparsr
