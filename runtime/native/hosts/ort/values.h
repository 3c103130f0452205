// Statuses and tensors of ONNX Runtime as C++ sees them.
#pragma once

#include <memory>
#include <new>
#include <string>
#include <vector>

#include "error.h"
#include "hosts/ort/ort_api.h"

namespace sparsr::ort {

// A status of the runtime's own on its way out.
struct Failed {
    Status* status;
};

inline void check(Status* status) {
    if (status) throw Failed{status};
}

// No exception crosses the border to the runtime.
template <class Body>
Status* guarded(Api api, Body body) {
    try {
        body();
        return nullptr;
    } catch (const Failed& failed) {
        return failed.status;
    } catch (const std::bad_alloc&) {
        return api(create_status, fail, "sparsr.Stream: there is not enough memory");
    } catch (const std::exception& exception) {
        return api(create_status, invalid_argument, (std::string("sparsr.Stream: ") + exception.what()).c_str());
    }
}

struct ReleaseInfo {
    Api api;
    void operator()(TensorInfo* info) const { api(release_tensor_info, info); }
};
using OwnedInfo = std::unique_ptr<TensorInfo, ReleaseInfo>;

inline std::vector<int64_t> shape_of(Api api, const TensorInfo* info) {
    size_t rank = 0;
    check(api(dimension_count, info, &rank));
    std::vector<int64_t> shape(rank);
    if (rank) check(api(dimensions, info, shape.data(), rank));
    return shape;
}

struct Tensor {
    ElementType type = undefined;
    std::vector<int64_t> shape;
    void* data = nullptr;
};

inline Tensor tensor_of(Api api, const Value* value) {
    require(value, "an input is missing");
    TensorInfo* raw = nullptr;
    check(api(tensor_info, value, &raw));
    const OwnedInfo info(raw, {api});
    Tensor tensor;
    check(api(element_type, info.get(), &tensor.type));
    tensor.shape = shape_of(api, info.get());
    check(api(tensor_data, const_cast<Value*>(value), &tensor.data));
    return tensor;
}

}  // namespace sparsr::ort
