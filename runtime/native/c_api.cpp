#include "c_api.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>


#include "run/describe.h"
#include "error.h"
#include "graph/compose.h"
#include "run/executor.h"
#include "cost/shapes.h"
#include "cost/measure.h"
#include "model/safetensors.h"
#include "system/system.h"

using namespace sparsr;

struct sparsr_model {
    explicit sparsr_model(Executor made) : executor(std::move(made)) {}
    Executor executor;
    mutable std::mutex mutex;  // of the executor
    // What sparsr_get_info tells without waiting for a run.
    std::atomic<uint64_t> buffer_bytes{0};
    std::atomic<int32_t> threads{1};
};

namespace {

// More than any machine has, and far from where sums of sizes would overflow.
constexpr size_t largest_bound = size_t(1) << 46;

void write_text(std::string_view text, char* to, size_t size) {
    if (!to || !size) return;
    const size_t length = std::min(text.size(), size - 1);
    std::memcpy(to, text.data(), length);
    to[length] = '\0';
}

// No exception crosses the border to C.
template <class Body>
bool guarded(char* error, size_t error_size, Body body) {
    try {
        body();
        return true;
    } catch (const std::bad_alloc&) {
        write_text("there is not enough memory", error, error_size);
    } catch (const std::exception& exception) {
        write_text(exception.what(), error, error_size);
    }
    return false;
}

const KernelSet& chosen_kernels(const char* name) {
    if (!name) name = std::getenv("SPARSR_ISA");
    if (!name || !*name) return *best_kernels();
    const KernelSet* kernels = find_kernels(name);
    require(kernels || std::strcmp(name, "fp16"), "this processor cannot compute in half precision");
    require(kernels, std::string("the instruction set ") + name + " is not known or not there on this processor");
    return *kernels;
}

// What a run's feature maps may take: hosts have no place to say it, so that the environment does.
size_t chosen_bound(uint64_t max_bytes) {
    const char* text = std::getenv("SPARSR_MAX_BYTES");
    if (!max_bytes && text && *text) {
        char* end = nullptr;
        max_bytes = std::strtoull(text, &end, 10);
        require(max_bytes && !*end && *text != '-', std::string("SPARSR_MAX_BYTES is ") + text + ", not a number above 0");
    }
    if (!max_bytes) max_bytes = system::memory_bytes();
    return size_t(std::min<uint64_t>(max_bytes, largest_bound));
}

template <class Load>
sparsr_model* make_model(const char* instruction_set, uint64_t max_bytes, char* error, size_t error_size, Load load) {
    sparsr_model* model = nullptr;
    guarded(error, error_size, [&] {
        const KernelSet& kernels = chosen_kernels(instruction_set);
        const size_t bound = chosen_bound(max_bytes);
        auto program = std::make_shared<Program>(load());
        compose(*program);
        model = new sparsr_model(Executor(std::move(program), kernels, bound));
    });
    return model;
}

StoredTensor stored(const sparsr_tensor& tensor) {
    require(tensor.type == SPARSR_UINT8 || tensor.type == SPARSR_FLOAT32, "a tensor is neither uint8 nor float32");
    require(tensor.shape || !tensor.rank, "a tensor has no shape");
    StoredTensor result;
    result.dtype = tensor.type == SPARSR_UINT8 ? "U8" : "F32";
    result.shape.assign(tensor.shape, tensor.shape + tensor.rank);
    result.data = static_cast<const unsigned char*>(tensor.data);
    result.elements = 1;
    for (int64_t side : result.shape) {
        require(side >= 0 && (!side || result.elements <= SIZE_MAX / uint64_t(side)), "a tensor is too large");
        result.elements *= size_t(side);
    }
    require(tensor.data || !result.elements, "a tensor has no values");
    return result;
}

// The threads of the engine that hosts us.
class HostWorkers : public Workers {
public:
    explicit HostWorkers(const sparsr_pool& pool) : pool_(pool) {}
    int count() const override { return pool_.threads; }
    void run(const std::function<void(int)>& body) override {
        const auto work = [](void* argument, int32_t index) { (*static_cast<const std::function<void(int)>*>(argument))(index); };
        pool_.run(pool_.context, work, const_cast<void*>(static_cast<const void*>(&body)), pool_.threads);
    }

private:
    sparsr_pool pool_;
};

constexpr int most_threads = 256;

int set_workers(sparsr_model* model, int count, char* error, size_t error_size,
                const std::function<std::unique_ptr<Workers>()>& make) {
    return guarded(error, error_size, [&] {
        require(model, "an argument is missing");
        require(count >= 1 && count <= most_threads, "there can be 1 to " + std::to_string(most_threads) + " threads");
        const std::lock_guard<std::mutex> lock(model->mutex);
        model->executor.set_workers(make());
        model->threads = count;
    });
}

Image image_of(const sparsr_image& image) {
    require(image.type == SPARSR_UINT8 || image.type == SPARSR_FLOAT32, "the image's type is neither uint8 nor float32");
    const auto type = image.type == SPARSR_UINT8 ? Image::Type::bytes : Image::Type::floats;
    return {type, image.data, image.row, image.column, image.channel};
}

}  // namespace

extern "C" {

sparsr_model* sparsr_load(const void* data, size_t size, const char* instruction_set, uint64_t max_bytes, char* error,
                          size_t error_size) {
    return make_model(instruction_set, max_bytes, error, error_size, [&] {
        require(data, "there is no model");
        return load_program(data, size);
    });
}

sparsr_model* sparsr_load_parts(const char* program, const sparsr_tensor* tensors, size_t count,
                                const char* instruction_set, uint64_t max_bytes, char* error, size_t error_size) {
    return make_model(instruction_set, max_bytes, error, error_size, [&] {
        require(program && (tensors || !count), "there is no model");
        std::vector<StoredTensor> parts;
        for (size_t i = 0; i < count; ++i) parts.push_back(stored(tensors[i]));
        return read_program(program, parts);
    });
}

sparsr_model* sparsr_share(const sparsr_model* model, char* error, size_t error_size) {
    sparsr_model* twin = nullptr;
    guarded(error, error_size, [&] {
        require(model, "an argument is missing");
        const std::lock_guard<std::mutex> lock(model->mutex);
        twin = new sparsr_model(model->executor.share());
    });
    return twin;
}

int sparsr_set_threads(sparsr_model* model, int32_t threads, char* error, size_t error_size) {
    return set_workers(model, threads, error, error_size, [threads]() -> std::unique_ptr<Workers> {
        if (threads == 1) return std::make_unique<Workers>();
        return std::make_unique<ThreadPool>(threads);
    });
}

int sparsr_set_pool(sparsr_model* model, const sparsr_pool* pool, char* error, size_t error_size) {
    const bool whole = pool && pool->run;
    return set_workers(whole ? model : nullptr, whole ? pool->threads : 1, error, error_size,
                       [pool] { return std::make_unique<HostWorkers>(*pool); });
}

int sparsr_set_plan(sparsr_model* model, const char* plan, char* error, size_t error_size) {
    return guarded(error, error_size, [&] {
        require(model, "an argument is missing");
        const std::lock_guard<std::mutex> lock(model->mutex);
        model->executor.set_planning(read_planning(plan));
    });
}

void sparsr_set_profiling(sparsr_model* model, int profiling) {
    if (!model) return;
    const std::lock_guard<std::mutex> lock(model->mutex);
    model->executor.set_profiling(profiling != 0);
}

int sparsr_prepare(sparsr_model* model, int32_t height, int32_t width, char* error, size_t error_size) {
    return guarded(error, error_size, [&] {
        require(model, "an argument is missing");
        const std::lock_guard<std::mutex> lock(model->mutex);
        model->executor.prepare({height, width});
        model->buffer_bytes = model->executor.buffer_bytes();
    });
}

int sparsr_memory(const sparsr_model* model, int32_t height, int32_t width, uint64_t* bytes, char* error,
                  size_t error_size) {
    return guarded(error, error_size, [&] {
        require(model && bytes, "an argument is missing");
        const std::lock_guard<std::mutex> lock(model->mutex);
        *bytes = model->executor.bytes_for({height, width});
    });
}

int sparsr_follow(sparsr_model* model, int32_t height, int32_t width, char* error, size_t error_size) {
    return guarded(error, error_size, [&] {
        require(model, "an argument is missing");
        const std::lock_guard<std::mutex> lock(model->mutex);
        model->executor.follow({height, width});
    });
}

int sparsr_run(sparsr_model* model, const sparsr_image* input, int32_t height, int32_t width, const sparsr_image* output,
               sparsr_row_ready ready, void* user, char* error, size_t error_size) {
    return sparsr_run_images(model, 1, input, height, width, output, ready, user, error, error_size);
}

int sparsr_run_images(sparsr_model* model, int32_t count, const sparsr_image* inputs, int32_t height, int32_t width,
                      const sparsr_image* outputs, sparsr_row_ready ready, void* user, char* error, size_t error_size) {
    bool complete = true;
    const bool fine = guarded(error, error_size, [&] {
        require(model && inputs && outputs && count >= 0, "an argument is missing");
        const std::lock_guard<std::mutex> lock(model->mutex);
        const int rows = model->executor.output_size({height, width}).height;
        model->executor.prepare({height, width});
        model->buffer_bytes = model->executor.buffer_bytes();
        for (int i = 0; i < count && complete; ++i) {
            require(inputs[i].data, "an image is missing");
            Executor::RowReady callback;
            if (ready) callback = [=](int y, const void* row) { return ready(user, i * rows + y, row) != 0; };
            complete = model->executor.run(image_of(inputs[i]), {height, width}, image_of(outputs[i]), callback);
        }
    });
    return !fine ? 0 : complete ? 1 : -1;
}

int sparsr_output_size(const sparsr_model* model, int32_t height, int32_t width, int32_t* out_height, int32_t* out_width,
                       char* error, size_t error_size) {
    return guarded(error, error_size, [&] {
        require(model && out_height && out_width, "an argument is missing");
        const Size size = model->executor.output_size({height, width});
        *out_height = size.height;
        *out_width = size.width;
    });
}

void sparsr_get_info(const sparsr_model* model, sparsr_info* info) {
    if (!model || !info) return;
    const Executor& executor = model->executor;
    const Program& program = executor.program();
    *info = {program.input_channels,  program.channels[size_t(program.output)], program.scale,
             program.minimum_size,    executor.kernels().lanes,                 model->threads,
             program.value_range,     executor.kernels().name,                  model->buffer_bytes};
}

size_t sparsr_describe(const sparsr_model* model, char* text, size_t size) {
    size_t length = 0;
    guarded(nullptr, 0, [&] {
        require(model, "an argument is missing");
        const std::lock_guard<std::mutex> lock(model->mutex);
        const std::string description = describe(model->executor);
        write_text(description, text, size);
        length = description.size();
    });
    return length;
}

void sparsr_free(sparsr_model* model) { delete model; }

int sparsr_conv_cost(const sparsr_conv* conv, int32_t width, const char* kernel, const char* instruction_set,
                     double* seconds, int32_t* measured, char* error, size_t error_size) {
    return guarded(error, error_size, [&] {
        require(conv && seconds && measured, "an argument is missing");
        const ConvShape shape{conv->inputs, conv->outputs, conv->side, conv->stride, conv->n, conv->m, conv->shared, width};
        const Cost cost = conv_cost(shape, kernel, chosen_kernels(instruction_set), read_planning(nullptr).measure);
        *seconds = cost.seconds;
        *measured = cost.measured;
    });
}

int sparsr_peak(const char* instruction_set, sparsr_flops* flops, char* error, size_t error_size) {
    return guarded(error, error_size, [&] {
        require(flops, "an argument is missing");
        const Peak peak = measure_peak(chosen_kernels(instruction_set));
        *flops = {peak.arithmetic, peak.loading, peak.near_taps, peak.far_taps};
    });
}

}  // extern "C"
