/* libsparsr: super-resolution networks on the CPU, row by row.
 *
 * Load a model once, run it on images of any size. Calls with the same model from several threads wait for each other.
 * Functions that can fail return 0 or NULL and leave a sentence in `error` (cut to `error_size` bytes). */
#ifndef SPARSR_C_API_H
#define SPARSR_C_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define SPARSR_API __declspec(dllexport)
#elif defined(SPARSR_PORTABLE)
#define SPARSR_API
#else
#define SPARSR_API __attribute__((visibility("default")))
#endif

typedef struct sparsr_model sparsr_model;

/* Pixels as they lie in memory: value (y, x, c) at data[y * row + x * column + c * channel], strides in elements. */
typedef enum { SPARSR_UINT8 = 0, SPARSR_FLOAT32 = 1 } sparsr_type;
typedef struct {
    sparsr_type type; /* uint8: 0..255, rounded and clipped; float32: 0..the model's value range, as it is */
    void* data;
    ptrdiff_t row, column, channel;
} sparsr_image;

typedef struct {
    int32_t input_channels, output_channels, scale, minimum_size, lanes, threads;
    float value_range;
    const char* instruction_set;
    uint64_t buffer_bytes; /* feature maps of the size last run */
} sparsr_info;

/* Called with every finished row of the result, top to bottom; 0 ends the run. With several threads any of them calls it,
 * one at a time. */
typedef int (*sparsr_row_ready)(void* user, int32_t y, const void* row);

/* The threads of an engine that hosts this one: `run` calls work(argument, i) for 0 <= i < count, at the same time as far
 * as it can, in any order, and returns when all have returned. */
typedef struct {
    int32_t threads;
    void* context;
    void (*run)(void* context, void (*work)(void* argument, int32_t index), void* argument, int32_t count);
} sparsr_pool;

/* Reads a model.safetensors with a program from memory, which may be freed afterwards. `instruction_set`: avx512, avx2,
 * base, neon or plain; fp16 for activations and arithmetic in half precision, which needs an arm64 processor with FEAT_FP16
 * and leaves masked blocks out; NULL for the environment variable SPARSR_ISA or else the best one. `max_bytes` bounds the
 * feature maps of a run; 0 for the environment variable SPARSR_MAX_BYTES or else the machine's memory. */
SPARSR_API sparsr_model* sparsr_load(const void* data, size_t size, const char* instruction_set, uint64_t max_bytes,
                                     char* error, size_t error_size);

/* A tensor of a model; `shape` has `rank` sides, the last one contiguous. */
typedef struct {
    sparsr_type type;
    const void* data;
    const int64_t* shape;
    size_t rank;
} sparsr_tensor;

/* The same for a model that is in parts already: the program as text, and its tensors in the order it lists them in. */
SPARSR_API sparsr_model* sparsr_load_parts(const char* program, const sparsr_tensor* tensors, size_t count,
                                           const char* instruction_set, uint64_t max_bytes, char* error,
                                           size_t error_size);

/* Another model with the program of this one, which is kept in memory once, and its plan; its runs and those of this one do
 * not wait for each other. Each is freed by itself. */
SPARSR_API sparsr_model* sparsr_share(const sparsr_model* model, char* error, size_t error_size);

/* Lets the model compute with so many threads of its own, the caller's included; one until then. The result does not depend
 * on their number, bit for bit. Returns 1, or 0 on error. */
SPARSR_API int sparsr_set_threads(sparsr_model* model, int32_t threads, char* error, size_t error_size);
/* Lets the model compute on a host's threads. `pool->context` must stay alive until the next call or sparsr_free. */
SPARSR_API int sparsr_set_pool(sparsr_model* model, const sparsr_pool* pool, char* error, size_t error_size);

/* Sets how the model chooses among its kernels. "measure": times them on this machine, once, and keeps the times in the
 * user's cache; "estimate": by constants; a text of sparsr_describe: as it says, as far as possible; a file with such a
 * text. NULL: as the environment variable SPARSR_PLAN says, or else "measure". */
SPARSR_API int sparsr_set_plan(sparsr_model* model, const char* plan, char* error, size_t error_size);
/* Lets runs time every operation, or not. */
SPARSR_API void sparsr_set_profiling(sparsr_model* model, int profiling);
/* Gets ready for images of a size; otherwise the first run of the size does. */
SPARSR_API int sparsr_prepare(sparsr_model* model, int32_t height, int32_t width, char* error, size_t error_size);

/* Bytes that a run on images of a size takes, feature maps and weights as kernels read them; allocates nothing. Returns 0 on
 * error. */
SPARSR_API int sparsr_memory(const sparsr_model* model, int32_t height, int32_t width, uint64_t* bytes, char* error,
                             size_t error_size);
/* Chooses kernels for images of any size as for images of this one from now on, so that windows of a picture get the kernels
 * the whole picture would. Returns 0 on error. */
SPARSR_API int sparsr_follow(sparsr_model* model, int32_t height, int32_t width, char* error, size_t error_size);

/* Runs the model on one image of height x width pixels. `output->data` may be NULL: then every row is handed over in
 * memory of the model's own. `ready` may be NULL. Returns 1 if done, 0 on error, -1 if `ready` ended the run. */
SPARSR_API int sparsr_run(sparsr_model* model, const sparsr_image* input, int32_t height, int32_t width,
                          const sparsr_image* output, sparsr_row_ready ready, void* user, char* error, size_t error_size);

/* The same for `count` images of one size, one after the other; `ready` counts the rows of all results together. */
SPARSR_API int sparsr_run_images(sparsr_model* model, int32_t count, const sparsr_image* inputs, int32_t height,
                                 int32_t width, const sparsr_image* outputs, sparsr_row_ready ready, void* user,
                                 char* error, size_t error_size);

/* Size of the result for an image; 0 if the model cannot take it. */
SPARSR_API int sparsr_output_size(const sparsr_model* model, int32_t height, int32_t width, int32_t* out_height,
                                  int32_t* out_width, char* error, size_t error_size);

SPARSR_API void sparsr_get_info(const sparsr_model* model, sparsr_info* info);
/* What the model does on images of the size last prepared, as JSON: every operation with its kernel, shape, memory, cost, and
 * of the last run its seconds if it was profiled, and how many pixels a mask held important. Returns the length needed without the final 0. */
SPARSR_API size_t sparsr_describe(const sparsr_model* model, char* text, size_t size);
SPARSR_API void sparsr_free(sparsr_model* model);

/* A convolution with side x side taps, of which n of every m input channels have weights, at the same places for `shared`
 * consecutive outputs (1, 2 or 4); stride 1 or 2. */
typedef struct {
    int32_t inputs, outputs, side, stride, n, m, shared;
} sparsr_conv;
/* CPU seconds for one row of `width` pixels of its result on `kernel` (dense, sparse, shared or winograd; NULL: the cheapest), by
 * the times and constants of sparsr_set_plan's "measure"; `measured` tells which. Returns 0 on error. */
SPARSR_API int sparsr_conv_cost(const sparsr_conv* conv, int32_t width, const char* kernel, const char* instruction_set,
                                double* seconds, int32_t* measured, char* error, size_t error_size);
/* Floating-point operations per second that one thread can do at best: on registers; with a load for each multiply-add, from
 * one place; and as a sparse 3x3 convolution has them, from irregular places of 16 channels' lines, which the first cache
 * holds, and of 64 channels' lines. */
typedef struct {
    double arithmetic, loading, near_taps, far_taps;
} sparsr_flops;
/* Measures them in some 50 ms. Returns 0 on error. */
SPARSR_API int sparsr_peak(const char* instruction_set, sparsr_flops* flops, char* error, size_t error_size);

/* ONNX Runtime finds the operator sparsr::Stream by itself: register this library as one of custom operators.
 * For TensorFlow Lite: the TfLiteRegistration of the custom operator SparsrStream, for MutableOpResolver::AddCustom; and
 * what adds it to a MutableOpResolver of the Python packages. Returns 1, or 0 for a version it does not know. */
SPARSR_API const void* sparsr_tflite_registration(void);
SPARSR_API int sparsr_tflite_register(void* resolver, char* error, size_t error_size);

#ifdef __cplusplus
}
#endif
#endif
