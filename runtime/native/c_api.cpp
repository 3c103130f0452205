#include "c_api.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/executor.h"

using namespace sparsr;

struct sparsr_model {
    Executor executor;
};

namespace {

// More than any machine has, and far from where sums of sizes would overflow.
constexpr size_t no_bound = size_t(1) << 46;

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

const Kernels& chosen_kernels(const char* name) {
    if (!name) name = std::getenv("SPARSR_ISA");
    if (!name || !*name) return *best_kernels();
    const Kernels* kernels = find_kernels(name);
    require(kernels, std::string("the instruction set ") + name + " is not known or not there on this processor");
    return *kernels;
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
    sparsr_model* model = nullptr;
    guarded(error, error_size, [&] {
        require(data, "there is no model");
        const Kernels& kernels = chosen_kernels(instruction_set);
        model = new sparsr_model{Executor(load_program(data, size), kernels, max_bytes && max_bytes < no_bound ? size_t(max_bytes) : no_bound)};
    });
    return model;
}

int sparsr_run(sparsr_model* model, const sparsr_image* input, int32_t height, int32_t width, const sparsr_image* output,
               sparsr_row_ready ready, void* user, char* error, size_t error_size) {
    bool complete = false;
    const bool fine = guarded(error, error_size, [&] {
        require(model && input && output && input->data, "an argument is missing");
        Executor::RowReady callback;
        if (ready) callback = [=](int y, const void* row) { return ready(user, y, row) != 0; };
        complete = model->executor.run(image_of(*input), {height, width}, image_of(*output), callback);
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
             program.minimum_size,    executor.kernels().lanes,                 1,
             program.value_range,     executor.kernels().name,                  executor.buffer_bytes()};
}

size_t sparsr_describe(const sparsr_model* model, char* text, size_t size) {
    size_t length = 0;
    guarded(nullptr, 0, [&] {
        const std::string description = model ? model->executor.description() : "";
        write_text(description, text, size);
        length = description.size();
    });
    return length;
}

void sparsr_free(sparsr_model* model) { delete model; }

}  // extern "C"
