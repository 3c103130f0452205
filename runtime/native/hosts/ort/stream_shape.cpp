#include <limits>
#include <string>

#include "hosts/ort/stream.h"
#include "hosts/ort/values.h"

namespace sparsr::ort {

namespace {

int64_t integer(Api api, const ShapeContext* context, const char* name) {
    const OpAttribute* attribute = nullptr;
    check(api(attribute_of_shape, context, name, &attribute));
    int64_t value = 0;
    size_t size = 0;
    check(api(read_attribute, attribute, integer_attribute, static_cast<void*>(&value), sizeof value, &size));
    return value;
}

// A side of an image: its size or -1, and its name or "".
struct Side {
    int64_t size;
    std::string name;
};

Side scaled(const Side& side, int64_t scale) {
    if (scale == 1) return side;
    if (scale < 1 || scale > max_scale) return {-1, ""};
    const bool known = side.size >= 0 && side.size <= std::numeric_limits<int32_t>::max();
    return {known ? side.size * scale : -1, side.name.empty() ? "" : side.name + "*" + std::to_string(scale)};
}

void infer(Api api, ShapeContext* context) {
    TensorInfo* image = nullptr;  // the context's
    check(api(input_shape, context, size_t(0), &image));
    const std::vector<int64_t> shape = shape_of(api, image);
    if (shape.size() != 4) return;
    const char* names[4] = {};
    check(api(symbolic_dimensions, image, names, size_t(4)));
    const int64_t scale = integer(api, context, scale_attribute);
    Side sides[4];
    for (size_t i = 0; i < 4; ++i) sides[i] = {shape[i], names[i] ? names[i] : ""};
    sides[1] = {integer(api, context, channels_attribute), ""};
    int64_t sizes[4];
    for (size_t i = 0; i < 4; ++i) {
        if (i >= 2) sides[i] = scaled(sides[i], scale);
        sizes[i] = sides[i].size;
        names[i] = sides[i].name.c_str();
        if (sizes[i] < 0 && sides[i].name.empty()) return;  // the runtime would take -1 for a size
    }
    TensorInfo* raw = nullptr;
    check(api(create_tensor_info, &raw));
    const OwnedInfo result(raw, {api});
    check(api(set_element_type, raw, float32));
    check(api(set_dimensions, raw, static_cast<const int64_t*>(sizes), size_t(4)));
    check(api(set_symbolic_dimensions, raw, names, size_t(4)));
    check(api(set_output_shape, context, size_t(0), static_cast<const TensorInfo*>(raw)));
}

}  // namespace

Status* infer_stream(Api api, ShapeContext* context) {
    return guarded(api, [&] { infer(api, context); });
}

}  // namespace sparsr::ort
