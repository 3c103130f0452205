// The part of ONNX Runtime's C interface a custom operator needs: its packages come without headers.
//
// The interface is a table of functions that only ever grows; a function keeps its place for good. Places and
// signatures: onnxruntime_c_api.h of ONNX Runtime 1.17, the first version with all of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sparsr::ort {

constexpr uint32_t api_version = 17;

// Opaque.
struct Status;
struct Value;
struct TensorInfo;
struct KernelInfo;
struct KernelContext;
struct ShapeContext;
struct SessionOptions;
struct OpDomain;
struct OpAttribute;

enum ErrorCode : int { fail = 1, invalid_argument = 2 };
enum ElementType : int { undefined = 0, float32 = 1, uint8 = 2 };
enum Presence : int { required = 0, variadic = 2 };
enum MemoryType : int { default_memory = 0 };
enum AttributeType : int { integer_attribute = 1 };

using Function = void (*)();
using Table = const Function*;
struct ApiBase {
    Table (*get_api)(uint32_t version);
    const char* (*get_version)();
};

// A function's place in the table.
template <class Signature>
struct Slot {
    int place;
};

class Api {
public:
    explicit Api(Table table) : table_(table) {}

    template <class Result, class... Parameters, class... Arguments>
    Result operator()(Slot<Result(Parameters...)> slot, Arguments... arguments) const {
        return reinterpret_cast<Result (*)(Parameters...)>(table_[slot.place])(arguments...);
    }

private:
    Table table_;
};

constexpr Slot<Status*(ErrorCode, const char*)> create_status{0};
constexpr Slot<Status*(const char*, OpDomain**)> create_domain{26};
constexpr Slot<Status*(OpDomain*, const struct CustomOp*)> domain_add{27};
constexpr Slot<Status*(SessionOptions*, OpDomain*)> add_domain{28};
constexpr Slot<Status*(Value*, void**)> tensor_data{51};
constexpr Slot<Status*(TensorInfo**)> create_tensor_info{57};
constexpr Slot<Status*(TensorInfo*, ElementType)> set_element_type{58};
constexpr Slot<Status*(TensorInfo*, const int64_t*, size_t)> set_dimensions{59};
constexpr Slot<Status*(const TensorInfo*, ElementType*)> element_type{60};
constexpr Slot<Status*(const TensorInfo*, size_t*)> dimension_count{61};
constexpr Slot<Status*(const TensorInfo*, int64_t*, size_t)> dimensions{62};
constexpr Slot<Status*(const TensorInfo*, const char**, size_t)> symbolic_dimensions{63};
constexpr Slot<Status*(const Value*, TensorInfo**)> tensor_info{65};
constexpr Slot<Status*(const KernelInfo*, const char*, int64_t*)> integer_of_kernel{86};
constexpr Slot<Status*(const KernelInfo*, const char*, char*, size_t*)> string_of_kernel{87};
constexpr Slot<Status*(const KernelContext*, size_t, const Value**)> input_value{90};
constexpr Slot<Status*(KernelContext*, size_t, const int64_t*, size_t, Value**)> output_value{91};
constexpr Slot<void(Status*)> release_status{93};
constexpr Slot<void(TensorInfo*)> release_tensor_info{99};
constexpr Slot<Status*(const KernelInfo*, size_t*)> input_count{230};
constexpr Slot<Status*(const KernelInfo*, size_t, int*, const Value**)> constant_input{249};
constexpr Slot<Status*(const ShapeContext*, size_t, TensorInfo**)> input_shape{268};
constexpr Slot<Status*(const ShapeContext*, const char*, const OpAttribute**)> attribute_of_shape{269};
constexpr Slot<Status*(ShapeContext*, size_t, const TensorInfo*)> set_output_shape{270};
constexpr Slot<Status*(TensorInfo*, const char**, size_t)> set_symbolic_dimensions{271};
constexpr Slot<Status*(const OpAttribute*, AttributeType, void*, size_t, size_t*)> read_attribute{272};
constexpr Slot<Status*(const KernelContext*, void (*)(void*, size_t), size_t, size_t, void*)> parallel_for{274};

// What an operator gives the runtime; fields after those of `api_version` are never read.
struct CustomOp {
    uint32_t version;
    void* (*create_kernel_v1)(const CustomOp*, Table, const KernelInfo*);
    const char* (*name)(const CustomOp*);
    const char* (*provider)(const CustomOp*);
    ElementType (*input_type)(const CustomOp*, size_t);
    size_t (*input_type_count)(const CustomOp*);
    ElementType (*output_type)(const CustomOp*, size_t);
    size_t (*output_type_count)(const CustomOp*);
    void (*compute_v1)(void*, KernelContext*);
    void (*destroy)(void*);
    Presence (*input_presence)(const CustomOp*, size_t);
    Presence (*output_presence)(const CustomOp*, size_t);
    MemoryType (*input_memory)(const CustomOp*, size_t);
    int (*variadic_input_minimum)(const CustomOp*);
    int (*variadic_input_same_type)(const CustomOp*);
    int (*variadic_output_minimum)(const CustomOp*);
    int (*variadic_output_same_type)(const CustomOp*);
    Status* (*create_kernel)(const CustomOp*, Table, const KernelInfo*, void**);
    Status* (*compute)(void*, KernelContext*);
    Status* (*infer_shape)(const CustomOp*, ShapeContext*);
    int (*first_version)(const CustomOp*);
    int (*last_version)(const CustomOp*);
};

}  // namespace sparsr::ort
