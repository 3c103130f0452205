// Reads convolutions.
#include "ops/conv/conv.h"

#include <algorithm>

#include "error.h"

namespace sparsr {

namespace {

constexpr size_t max_weights = size_t(1) << 30;

// Shape [outputs, ...]: checks it against groups and kernel and sets those of `layer`.
void set_shape(Layer& layer, int channels, int64_t outputs, int64_t height, int64_t width) {
    const bool sane = outputs >= 1 && outputs <= max_channels && height >= 1 && height <= max_kernel &&
                      width >= 1 && width <= max_kernel;
    require(sane, layer.name + " has a weight of impossible shape");
    layer.outputs = int(outputs);
    layer.kernel_h = int(height);
    layer.kernel_w = int(width);
    require(channels % layer.groups == 0 && layer.outputs % layer.groups == 0,
            layer.name + " cannot divide its channels into groups");
}

int first_channel(const Layer& layer, int channels, int output) {
    return output / (layer.outputs / layer.groups) * (channels / layer.groups);
}

void append(Layer& layer, int channel, int tap, float value) {
    if (value != 0)
        layer.weights.push_back(
            {uint16_t(channel), uint8_t(tap / layer.kernel_w), uint8_t(tap % layer.kernel_w), value});
}

void sort_from(Layer& layer, size_t first) {
    const auto before = [](const Weight& a, const Weight& b) {
        return a.row != b.row ? a.row < b.row : a.channel != b.channel ? a.channel < b.channel : a.column < b.column;
    };
    std::sort(layer.weights.begin() + ptrdiff_t(first), layer.weights.end(), before);
}

// weight: [outputs, channels / groups, kernel height, kernel width]
void read_dense(Layer& layer, const StoredTensor& stored, int channels) {
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

// values: [outputs, kernel height, kernel width, groups of m channels, n]; indices likewise, those of v outputs once
void read_sparse(Layer& layer, const Entry& entry, int channels) {
    const StoredTensor& values = entry.tensor("values", "F32");
    const StoredTensor& indices = entry.tensor("indices", "U8");
    const auto& shape = values.shape;
    require(shape.size() == 5, layer.name + " has a weight of impossible shape");
    set_shape(layer, channels, shape[0], shape[1], shape[2]);
    const int v = entry.has("v") ? entry.integer("v", 1, 4) : 1;
    require(v != 3, layer.name + " shares its weights' places among 3 outputs, not 1, 2 or 4");
    std::vector<int64_t> places = shape;
    places[0] = (shape[0] + v - 1) / v;
    require(indices.shape == places, layer.name + " has places for other weights");
    if (layer.groups == 1) layer.shared = v;
    const int m = entry.integer("m", 1, 256), per_group = channels / layer.groups;
    require(shape[3] == (per_group + m - 1) / m && shape[4] >= 0 && shape[4] <= m,
            layer.name + " has a weight for other inputs");
    // Without values nothing bounds the other sides.
    if (shape[4] == 0) {
        layer.first.assign(size_t(layer.outputs) + 1, 0);
        return;
    }
    layer.weights.reserve(values.elements);
    const size_t of_output = values.elements / size_t(layer.outputs);
    size_t index = 0;
    for (int output = 0; output < layer.outputs; ++output) {
        layer.first.push_back(layer.weights.size());
        const unsigned char* place = indices.data + size_t(output / v) * of_output;
        for (int tap = 0; tap < layer.kernel_h * layer.kernel_w; ++tap)
            for (int group = 0; group < shape[3]; ++group)
                for (int n = 0; n < shape[4]; ++n, ++index, ++place) {
                    const int c = group * m + *place;
                    require(*place < m && c < per_group, layer.name + " has an index out of range");
                    append(layer, first_channel(layer, channels, output) + c, tap, value_at(values, index));
                }
        sort_from(layer, layer.first.back());
    }
    layer.first.push_back(layer.weights.size());
}

// Whether every `count` consecutive outputs read the same places; the last ones may be fewer.
bool all_share(const Layer& layer, int count) {
    if (layer.groups > 1) return false;
    const auto same = [](const Weight& a, const Weight& b) {
        return a.channel == b.channel && a.row == b.row && a.column == b.column;
    };
    for (size_t o = 0; o < size_t(layer.outputs); ++o) {
        const auto at = [&](size_t output) { return layer.weights.begin() + ptrdiff_t(layer.first[output]); };
        const size_t first = o - o % size_t(count);
        if (!std::equal(at(o), at(o + 1), at(first), at(first + 1), same)) return false;
    }
    return true;
}

}  // namespace

int read_conv(Layer& layer, const Entry& entry) {
    const int channels = entry.channels()[0];
    layer.stride = entry.integer("stride", 1, max_stride);
    layer.groups = entry.integer("groups", 1, channels);
    const auto& padding = entry.array("padding");
    require(padding.size() == 4, "padding is not four numbers");
    int* const sides[] = {&layer.top, &layer.left, &layer.bottom, &layer.right};
    for (size_t i = 0; i < 4; ++i) *sides[i] = int(padding[i].integer("padding", 0, max_kernel));
    if (entry.has("weight"))
        read_dense(layer, entry.tensor("weight", "F32"), channels);
    else
        read_sparse(layer, entry, channels);
    require(layer.weights.size() <= max_weights, layer.name + " has too many weights");
    layer.bias = entry.floats("bias", size_t(layer.outputs));
    for (int count : {2, 4})
        if (layer.shared < count && all_share(layer, count)) layer.shared = count;
    return layer.outputs;
}

}  // namespace sparsr
