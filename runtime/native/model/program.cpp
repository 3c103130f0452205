#include "model/program.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "graph/compose.h"
#include "error.h"
#include "model/json.h"
#include "model/safetensors.h"

namespace sparsr {

namespace {

// Generous for networks, small enough that no product of three of them overflows 64 bits.
constexpr int max_layers = 4096, max_channels = 16384, max_kernel = 64, max_stride = 16, max_block = 8, max_scale = 64,
              max_parts = 64;
constexpr size_t max_weights = size_t(1) << 30;

const std::map<std::string, Kind> kinds = {
    {"Conv", Kind::conv},           {"Activation", Kind::activation}, {"ChannelAffine", Kind::affine},
    {"Add", Kind::add},             {"Mul", Kind::mul},               {"Concat", Kind::concat},
    {"SliceChannels", Kind::slice}, {"GlobalMean", Kind::mean},       {"GlobalStd", Kind::deviation},
    {"MaxPool", Kind::max_pool},    {"AvgPool", Kind::avg_pool},      {"ResizeLike", Kind::resize},
    {"PadEdge", Kind::pad_edge},    {"PadToEven", Kind::pad_to_even}, {"CropLike", Kind::crop},
    {"DepthToSpace", Kind::depth_to_space}, {"MaskedBlock", Kind::masked},
};

int integer(const Json& entry, const char* key, int low, int high) {
    return int(entry.at(key).integer(key, low, high));
}

Activation read_activation(const Json& entry) {
    const std::string& function = entry.at("function").string("an activation");
    if (function == "sigmoid") return {Activation::Function::sigmoid, 1};
    if (function == "relu") return {Activation::Function::leaky, 0};
    require(function == "leaky_relu", "the activation " + function + " is not known");
    const double slope = entry.at("slope").number("a slope");
    require(std::abs(slope) <= 1e6, "a slope is out of range");
    return {Activation::Function::leaky, float(slope)};
}

class Reader {
public:
    Reader(Program& program, const TensorTable& file) : program_(program), file_(file) {}

    void read_layer(const Json& entry) {
        Layer layer;
        const std::string& kind = entry.at("kind").string("a layer's kind");
        const auto known = kinds.find(kind);
        require(known != kinds.end(), "layers of kind " + kind + " are not known");
        layer.kind = known->second;
        layer.name = entry.at("name").string("a layer's name");
        for (const Json& input : entry.at("inputs").array("a layer's inputs"))
            layer.inputs.push_back(int(input.integer("an input", 0, int64_t(program_.channels.size()) - 1)));
        if (const Json* activation = entry.find("activation")) layer.activation = read_activation(*activation);
        layer.early = entry.find("early") && integer(entry, "early", 0, 1);
        check_input_count(layer);
        const int channels = read_options(layer, entry);
        require(channels >= 1 && channels <= max_channels, layer.name + " has too many channels");
        program_.channels.push_back(channels);
        program_.layers.push_back(std::move(layer));
    }

private:
    static void check_input_count(const Layer& layer) {
        const bool pair = layer.kind == Kind::add || layer.kind == Kind::mul || layer.kind == Kind::resize ||
                          layer.kind == Kind::crop || layer.kind == Kind::masked;
        const size_t count = layer.inputs.size();
        const bool fits = layer.kind == Kind::concat ? count >= 1 && count <= max_channels : count == (pair ? 2 : 1);
        require(fits, layer.name + " has the wrong number of inputs");
    }

    int channels_of(const Layer& layer, size_t input) const {
        return program_.channels[size_t(layer.inputs[input])];
    }

    // Reads what the kind needs and returns the number of output channels.
    int read_options(Layer& layer, const Json& entry) {
        const int channels = channels_of(layer, 0);
        switch (layer.kind) {
            case Kind::conv: read_conv(layer, entry); return layer.outputs;
            case Kind::masked: read_masked(layer, entry); return layer.outputs;
            case Kind::affine:
                layer.factor = floats(entry, "factor", size_t(channels));
                layer.bias = floats(entry, "offset", size_t(channels));
                return channels;
            case Kind::add:
            case Kind::mul:
                require(channels == channels_of(layer, 1), layer.name + " joins different numbers of channels");
                return channels;
            case Kind::concat: {
                int64_t sum = 0;
                for (size_t i = 0; i < layer.inputs.size(); ++i) sum += channels_of(layer, i);
                return int(std::min<int64_t>(sum, max_channels + 1));
            }
            case Kind::slice:
                layer.start = integer(entry, "start", 0, channels - 1);
                layer.stop = integer(entry, "stop", layer.start + 1, channels);
                return layer.stop - layer.start;
            case Kind::max_pool:
            case Kind::avg_pool:
                layer.kernel = integer(entry, "kernel", 1, max_kernel);
                layer.stride = integer(entry, "stride", 1, max_stride);
                return channels;
            case Kind::pad_edge: layer.amount = integer(entry, "amount", 0, max_kernel); return channels;
            case Kind::depth_to_space:
                layer.block = integer(entry, "block", 1, max_block);
                require(channels % (layer.block * layer.block) == 0, layer.name + " cannot divide its channels");
                return channels / (layer.block * layer.block);
            default: return channels;
        }
    }

    std::vector<float> floats(const Json& entry, const char* key, size_t count) const {
        std::vector<float> values = file_.floats(entry.at(key).string(key));
        require(values.size() == count, std::string(key) + " has the wrong number of values");
        return values;
    }

    void read_conv(Layer& layer, const Json& entry) const {
        const int channels = channels_of(layer, 0);
        layer.stride = integer(entry, "stride", 1, max_stride);
        layer.groups = integer(entry, "groups", 1, channels);
        const auto& padding = entry.at("padding").array("padding");
        require(padding.size() == 4, "padding is not four numbers");
        int* const sides[] = {&layer.top, &layer.left, &layer.bottom, &layer.right};
        for (size_t i = 0; i < 4; ++i) *sides[i] = int(padding[i].integer("padding", 0, max_kernel));
        if (entry.find("weight"))
            read_dense(layer, file_.tensor(entry.at("weight").string("weight"), "F32"), channels);
        else
            read_sparse(layer, entry, channels);
        require(layer.weights.size() <= max_weights, layer.name + " has too many weights");
        layer.bias = floats(entry, "bias", size_t(layer.outputs));
    }

    void read_masked(Layer& layer, const Json& entry) const {
        const int channels = channels_of(layer, 0);
        require(channels_of(layer, 1) == 2, layer.name + " needs two logits");
        const auto& weights = entry.at("weights").array("weights");
        const auto& dense = entry.at("dense").array("dense");
        require(!weights.empty() && weights.size() <= max_parts && weights.size() == dense.size(),
                layer.name + " has an impossible number of layers");
        layer.bias = file_.floats(entry.at("fuse_bias").string("fuse_bias"));
        require(!layer.bias.empty() && layer.bias.size() <= max_channels, layer.name + " has too many channels");
        layer.outputs = int(layer.bias.size());
        std::vector<int> order(static_cast<size_t>(channels));
        std::iota(order.begin(), order.end(), 0);
        for (size_t i = 0; i < weights.size(); ++i) {
            layer.parts.push_back(read_part(layer, file_.tensor(weights[i].string("weights"), "F32"), dense[i], order));
            order = layer.parts.back().order;
        }
        pack_fuse(layer, floats(entry, "fuse_weight", layer.bias.size() * weights.size() * size_t(channels)));
    }

    // `before`: the order of its inputs.
    static MaskedPart read_part(const Layer& layer, const StoredTensor& stored, const Json& dense, const std::vector<int>& before) {
        const size_t channels = before.size(), row = size_t(masked_row(int(channels)));
        const auto side = int64_t(channels);
        require(stored.shape == std::vector<int64_t>{side, side, 3, 3}, layer.name + " has a weight of impossible shape");
        std::vector<bool> wanted(channels);
        for (const Json& channel : dense.array("dense")) wanted[size_t(channel.integer("dense", 0, side - 1))] = true;
        MaskedPart part;
        part.order.resize(channels);
        std::iota(part.order.begin(), part.order.end(), 0);
        const auto end = std::stable_partition(part.order.begin(), part.order.end(), [&](int c) { return wanted[size_t(c)]; });
        part.dense = int(end - part.order.begin());
        part.weights = Mapping(9 * channels * row * sizeof(float), false);
        float* to = part.weights.data();
        for (size_t tap = 0; tap < 9; ++tap)
            for (size_t k = 0; k < channels; ++k, to += row)
                for (size_t n = 0; n < channels; ++n)
                    to[n] = value_at(stored, (size_t(part.order[n]) * channels + size_t(before[k])) * 9 + tap);
        return part;
    }

    static void pack_fuse(Layer& layer, const std::vector<float>& weights) {
        const size_t channels = layer.parts[0].order.size(), inputs = layer.parts.size() * channels;
        const size_t row = size_t(masked_row(layer.outputs));
        layer.fuse = Mapping(inputs * row * sizeof(float), false);
        float* to = layer.fuse.data();
        for (size_t part = 0; part < layer.parts.size(); ++part)
            for (int channel : layer.parts[part].order) {
                for (size_t n = 0; n < layer.bias.size(); ++n) to[n] = weights[n * inputs + part * channels + size_t(channel)];
                to += row;
            }
    }

    // Shape [outputs, ...]: checks it against groups and kernel and sets those of `layer`.
    static void set_shape(Layer& layer, int channels, int64_t outputs, int64_t height, int64_t width) {
        const bool sane = outputs >= 1 && outputs <= max_channels && height >= 1 && height <= max_kernel &&
                          width >= 1 && width <= max_kernel;
        require(sane, layer.name + " has a weight of impossible shape");
        layer.outputs = int(outputs);
        layer.kernel_h = int(height);
        layer.kernel_w = int(width);
        require(channels % layer.groups == 0 && layer.outputs % layer.groups == 0,
                layer.name + " cannot divide its channels into groups");
    }

    static int first_channel(const Layer& layer, int channels, int output) {
        return output / (layer.outputs / layer.groups) * (channels / layer.groups);
    }

    static float value_at(const StoredTensor& tensor, size_t index) {
        float value;
        __builtin_memcpy(&value, tensor.data + 4 * index, 4);
        return value;
    }

    // weight: [outputs, channels / groups, kernel height, kernel width]
    static void read_dense(Layer& layer, const StoredTensor& stored, int channels) {
        const auto& shape = stored.shape;
        require(shape.size() == 4, layer.name + " has a weight of impossible shape");
        set_shape(layer, channels, shape[0], shape[2], shape[3]);
        require(shape[1] == channels / layer.groups, layer.name + " has a weight for other inputs");
        const int per_group = channels / layer.groups, taps = layer.kernel_h * layer.kernel_w;
        layer.weights.reserve(size_t(shape[0] * shape[1] * shape[2] * shape[3]));
        for (int output = 0; output < layer.outputs; ++output) {
            layer.first.push_back(layer.weights.size());
            for (int row = 0; row < layer.kernel_h; ++row)
                for (int c = 0; c < per_group; ++c)
                    for (int tap = row * layer.kernel_w; tap < (row + 1) * layer.kernel_w; ++tap) {
                        const size_t index = (size_t(output) * size_t(per_group) + size_t(c)) * size_t(taps) + size_t(tap);
                        append(layer, first_channel(layer, channels, output) + c, tap, value_at(stored, index));
                    }
        }
        layer.first.push_back(layer.weights.size());
    }

    // values, indices: [outputs, kernel height, kernel width, groups of m channels, n]
    void read_sparse(Layer& layer, const Json& entry, int channels) const {
        const StoredTensor& values = file_.tensor(entry.at("values").string("values"), "F32");
        const StoredTensor& indices = file_.tensor(entry.at("indices").string("indices"), "U8");
        const auto& shape = values.shape;
        require(shape.size() == 5 && shape == indices.shape, layer.name + " has a weight of impossible shape");
        set_shape(layer, channels, shape[0], shape[1], shape[2]);
        const int m = integer(entry, "m", 1, 256), per_group = channels / layer.groups;
        require(shape[3] == (per_group + m - 1) / m && shape[4] >= 0 && shape[4] <= m,
                layer.name + " has a weight for other inputs");
        // Without values nothing bounds the other sides.
        if (shape[4] == 0) {
            layer.first.assign(size_t(layer.outputs) + 1, 0);
            return;
        }
        layer.weights.reserve(size_t(shape[0] * shape[1] * shape[2] * shape[3] * shape[4]));
        size_t index = 0;
        for (int output = 0; output < layer.outputs; ++output) {
            layer.first.push_back(layer.weights.size());
            for (int tap = 0; tap < layer.kernel_h * layer.kernel_w; ++tap)
                for (int group = 0; group < shape[3]; ++group)
                    for (int n = 0; n < shape[4]; ++n, ++index) {
                        const int c = group * m + indices.data[index];
                        require(indices.data[index] < m && c < per_group, layer.name + " has an index out of range");
                        append(layer, first_channel(layer, channels, output) + c, tap, value_at(values, index));
                    }
            sort_from(layer, layer.first.back());
        }
        layer.first.push_back(layer.weights.size());
    }

    static void append(Layer& layer, int channel, int tap, float value) {
        if (value != 0)
            layer.weights.push_back(
                {uint16_t(channel), uint8_t(tap / layer.kernel_w), uint8_t(tap % layer.kernel_w), value});
    }

    static void sort_from(Layer& layer, size_t first) {
        const auto before = [](const Weight& a, const Weight& b) {
            return a.row != b.row ? a.row < b.row : a.channel != b.channel ? a.channel < b.channel : a.column < b.column;
        };
        std::sort(layer.weights.begin() + ptrdiff_t(first), layer.weights.end(), before);
    }

    Program& program_;
    const TensorTable& file_;
};

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
    Reader reader(program, tensors);
    for (const Json& layer : layers) reader.read_layer(layer);
    program.output = integer(json, "output", 0, int(layers.size()));
    return program;
}

Program read_composed(const Json& json, const TensorTable& tensors) {
    Program program = read_json(json, tensors);
    compose(program);
    return program;
}

}  // namespace

double dense_weights(const Layer& layer, int channels) {
    if (layer.phases > 1) return double(layer.weights.size());
    return double(layer.outputs) * (channels / layer.groups) * layer.kernel_h * layer.kernel_w;
}

const char* kind_name(Kind kind) {
    for (const auto& [name, known] : kinds)
        if (known == kind) return name.c_str();
    return "";
}

Program load_program(const void* data, size_t size) {
    const Safetensors file(data, size);
    const auto text = file.metadata.find("sparsr.program");
    require(text != file.metadata.end(), "the model file holds no program");
    return read_composed(Json::parse(text->second), file);
}

Program read_program(std::string_view text, const std::vector<StoredTensor>& tensors) {
    const Json json = Json::parse(text);
    const auto& names = json.at("tensors").array("the list of tensors");
    require(names.size() == tensors.size(), "the program lists another number of tensors");
    TensorTable table;
    for (size_t i = 0; i < names.size(); ++i) table.tensors[names[i].string("a tensor's name")] = tensors[i];
    return read_composed(json, table);
}

}  // namespace sparsr
