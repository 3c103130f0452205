// The part of TensorFlow Lite's C interface a custom operator touches: its packages come without headers.
//
// Layouts of common.h as TensorFlow Lite 2.14 and LiteRT 2.3 have them. What is not used is `const void*`.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sparsr::tflite {

extern "C" {

enum Status : int { ok = 0, failed = 1 };
enum ElementType : int { float32 = 1, uint8 = 3 };
enum Allocation : int { read_only_file = 1, persistent_read_only = 5 };

struct IntArray {
    int size;
    int data[1];  // `size` of them
};

struct Tensor {
    ElementType type;
    void* data;
    IntArray* shape;
    float scale;
    int32_t zero_point;
    Allocation allocation;
    size_t bytes;
    const void* file;
    const char* name;
    const void* delegate;
    int buffer_handle;
    bool data_is_stale, is_variable;
    struct {
        int type;
        const void* parameters;
    } quantization;
    const void* sparsity;
    const IntArray* shape_signature;
};

struct Node {
    IntArray *inputs, *outputs, *intermediates, *temporaries;
    void* user_data;
};

struct Context {
    size_t tensor_count;
    const void* get_execution_plan;
    Tensor* tensors;
    const void* implementation;
    Status (*resize_tensor)(Context*, Tensor*, IntArray* shape);  // takes the shape over, which malloc has made
    void (*report_error)(Context*, const char* format, ...);
    const void *add_tensors, *get_node, *replace_nodes;
    int recommended_threads;  // -1: no preference
};

struct Registration {
    void* (*init)(Context*, const char* options, size_t size);
    void (*free)(Context*, void* user_data);
    Status (*prepare)(Context*, Node*);
    Status (*invoke)(Context*, Node*);
    const void* profiling_string;
    int32_t builtin_code;
    const char* custom_name;
    int version;
    const void *registration_external, *async_kernel;
    uint64_t inplace_operator;
};

}  // extern "C"

constexpr int32_t custom_code = 32, conv_code = 3;  // BuiltinOperator

}  // namespace sparsr::tflite
