#include "hosts/tflite/stream_op.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "c_api.h"
#include "error.h"

namespace sparsr::tflite {

namespace {

constexpr size_t message_size = 1000;

// No exception crosses the border to the interpreter.
template <class Body>
Status guarded(Context* context, Body body) {
    try {
        body();
        return ok;
    } catch (const std::bad_alloc&) {
        context->report_error(context, "SparsrStream: there is not enough memory");
    } catch (const std::exception& exception) {
        context->report_error(context, "SparsrStream: %s", exception.what());
    }
    return failed;
}

Tensor& tensor(Context* context, const IntArray* indices, int index) {
    require(indices && index < indices->size && context->tensors, "a tensor is missing");
    const int number = indices->data[index];
    require(number >= 0 && size_t(number) < context->tensor_count, "a tensor is missing");
    return context->tensors[number];
}

struct Free {
    void operator()(sparsr_model* model) const { sparsr_free(model); }
    void operator()(IntArray* array) const { std::free(array); }
};

std::unique_ptr<IntArray, Free> shape_array(const int (&sides)[4]) {
    auto* const array = static_cast<IntArray*>(std::malloc(sizeof(IntArray) + sizeof sides));
    if (!array) throw std::bad_alloc();
    array->size = 4;
    std::copy(std::begin(sides), std::end(sides), array->data);
    return std::unique_ptr<IntArray, Free>(array);
}

// Image n of a batch in NHWC order.
sparsr_image pixels(const Tensor& tensor, int n) {
    const int* const sides = tensor.shape->data;
    const ptrdiff_t row = ptrdiff_t(sides[2]) * sides[3];
    return {SPARSR_FLOAT32, static_cast<float*>(tensor.data) + n * sides[1] * row, row, sides[3], 1};
}

class Kernel {
public:
    void prepare(Context* context, const Node* node) {
        require(node->inputs && node->inputs->size == 2, "there are not two inputs");
        const Tensor& image = tensor(context, node->inputs, 0);
        if (!model_) load(tensor(context, node->inputs, 1));
        require(image.type == float32 && image.shape->size == 4 && image.shape->data[3] == info_.input_channels,
                "the image is not float of shape [n, h, w, " + std::to_string(info_.input_channels) + "]");
        Tensor& result = tensor(context, node->outputs, 0);
        require(result.type == float32, "the result is not float");
        const int* const sides = image.shape->data;
        char error[message_size] = "";
        int32_t height = 0, width = 0;
        require(sparsr_output_size(model_.get(), sides[1], sides[2], &height, &width, error, sizeof error), error);
        auto shape = shape_array({sides[0], height, width, info_.output_channels});
        require(context->resize_tensor(context, &result, shape.release()) == ok, "the result is too large");
    }

    void invoke(Context* context, const Node* node) {
        const Tensor& image = tensor(context, node->inputs, 0);
        const Tensor& result = tensor(context, node->outputs, 0);
        require(model_ && image.data && result.data, "the operator has not been prepared");
        use_threads(context->recommended_threads);
        std::vector<sparsr_image> images, results;
        for (int n = 0; n < image.shape->data[0]; ++n) {
            images.push_back(pixels(image, n));
            results.push_back(pixels(result, n));
        }
        if (images.empty()) return;
        char error[message_size] = "";
        const int done = sparsr_run_images(model_.get(), int32_t(images.size()), images.data(), image.shape->data[1],
                                           image.shape->data[2], results.data(), nullptr, nullptr, error, sizeof error);
        require(done == 1, error);
    }

private:
    void load(const Tensor& program) {
        const bool constant = program.allocation == read_only_file || program.allocation == persistent_read_only;
        require(constant && program.type == uint8 && program.data, "the program is not a constant of bytes");
        char error[message_size] = "";
        model_.reset(sparsr_load(program.data, program.bytes, nullptr, 0, error, sizeof error));
        require(model_ != nullptr, error);
        sparsr_get_info(model_.get(), &info_);
    }

    // The interpreter has no threads to lend: the model starts its own when it runs first.
    void use_threads(int recommended) {
        const int threads = std::max(recommended, 1);
        if (threads == threads_) return;
        char error[message_size] = "";
        require(sparsr_set_threads(model_.get(), threads, error, sizeof error), error);
        threads_ = threads;
    }

    std::unique_ptr<sparsr_model, Free> model_;
    sparsr_info info_{};
    int threads_ = 1;
};

void* make(Context*, const char*, size_t) { return new (std::nothrow) Kernel(); }
void destroy(Context*, void* kernel) { delete static_cast<Kernel*>(kernel); }

Status prepare(Context* context, Node* node) {
    return guarded(context, [&] {
        require(node->user_data, "there is no kernel");
        static_cast<Kernel*>(node->user_data)->prepare(context, node);
    });
}

Status invoke(Context* context, Node* node) {
    return guarded(context, [&] { static_cast<Kernel*>(node->user_data)->invoke(context, node); });
}

}  // namespace

const Registration* stream_registration() {
    static const Registration registration = [] {
        Registration made{};
        made.init = make;
        made.free = destroy;
        made.prepare = prepare;
        made.invoke = invoke;
        made.builtin_code = custom_code;
        made.custom_name = "SparsrStream";
        made.version = 1;
        return made;
    }();
    return &registration;
}

}  // namespace sparsr::tflite
