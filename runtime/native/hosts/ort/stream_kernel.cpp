#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "c_api.h"
#include "hosts/ort/session_threads.h"
#include "hosts/ort/stream.h"
#include "hosts/ort/values.h"

namespace sparsr::ort {

namespace {

constexpr size_t message_size = 1000;

class Kernel {
public:
    Kernel(Api api, const KernelInfo* info) : api_(api) {
        load(program(info), constants(info));
        sparsr_get_info(model_.get(), &info_);
        scale_ = integer(info, scale_attribute);
        require(scale_ >= 0 && scale_ <= max_scale, "the node's scale is out of range");
        require(integer(info, channels_attribute) == info_.output_channels, "the program has other channels than the node says");
    }
    Api api() const { return api_; }

    void compute(KernelContext* context) {
        const Value* value = nullptr;
        check(api_(input_value, context, size_t(0), &value));
        const Tensor image = tensor_of(api_, value);
        require(image.type == float32 && image.shape.size() == 4 && image.shape[1] == info_.input_channels,
                "the image is not float of shape [n, " + std::to_string(info_.input_channels) + ", h, w]");
        const int32_t height = side(image.shape[2]), width = side(image.shape[3]);
        const auto [out_height, out_width] = output_size(height, width);
        const int64_t shape[] = {image.shape[0], info_.output_channels, out_height, out_width};
        Value* output = nullptr;
        check(api_(output_value, context, size_t(0), shape, size_t(4), &output));
        void* data = nullptr;
        check(api_(tensor_data, output, &data));
        std::vector<sparsr_image> images, results;
        for (int64_t n = 0; n < shape[0]; ++n) {
            images.push_back(planes(image.data, n, info_.input_channels, height, width));
            results.push_back(planes(data, n, info_.output_channels, out_height, out_width));
        }
        if (!images.empty()) run(context, images, height, width, results);
    }

private:
    struct Free {
        void operator()(sparsr_model* model) const { sparsr_free(model); }
    };

    int64_t integer(const KernelInfo* info, const char* name) const {
        int64_t value = 0;
        check(api_(integer_of_kernel, info, name, &value));
        return value;
    }

    std::string program(const KernelInfo* info) const {
        size_t length = 0;
        check(api_(string_of_kernel, info, program_attribute, static_cast<char*>(nullptr), &length));
        std::string text(length, '\0');
        check(api_(string_of_kernel, info, program_attribute, text.data(), &length));
        return text.c_str();  // without the final zero
    }

    std::vector<Tensor> constants(const KernelInfo* info) const {
        size_t count = 0;
        check(api_(input_count, info, &count));
        std::vector<Tensor> tensors;
        for (size_t i = 1; i < count; ++i) {
            int constant = 0;
            const Value* value = nullptr;
            check(api_(constant_input, info, i, &constant, &value));
            require(constant, "a weight is not constant");
            tensors.push_back(tensor_of(api_, value));
        }
        return tensors;
    }

    void load(const std::string& program, const std::vector<Tensor>& tensors) {
        std::vector<sparsr_tensor> parts;
        for (const Tensor& tensor : tensors) {
            require(tensor.type == float32 || tensor.type == uint8, "a weight is neither float nor uint8");
            const auto type = tensor.type == float32 ? SPARSR_FLOAT32 : SPARSR_UINT8;
            parts.push_back({type, tensor.data, tensor.shape.data(), tensor.shape.size()});
        }
        char error[message_size] = "";
        model_.reset(sparsr_load_parts(program.c_str(), parts.data(), parts.size(), nullptr, 0, error, sizeof error));
        require(model_ != nullptr, error);
    }

    static int32_t side(int64_t size) {
        require(size >= 0 && size <= std::numeric_limits<int32_t>::max(), "the image is too large");
        return int32_t(size);
    }

    std::pair<int32_t, int32_t> output_size(int32_t height, int32_t width) const {
        char error[message_size] = "";
        int32_t out_height = 0, out_width = 0;
        const bool fits = sparsr_output_size(model_.get(), height, width, &out_height, &out_width, error, sizeof error);
        require(fits, error);
        require(!scale_ || (out_height == scale_ * height && out_width == scale_ * width),
                "the program has another scale than the node says");
        return {out_height, out_width};
    }

    // Image n of a batch in NCHW order.
    static sparsr_image planes(void* data, int64_t n, int64_t channels, int64_t height, int64_t width) {
        const ptrdiff_t plane = height * width;
        return {SPARSR_FLOAT32, static_cast<float*>(data) + n * channels * plane, ptrdiff_t(width), 1, plane};
    }

    // A session may be run from several threads at once, but the model has one pool.
    void run(KernelContext* context, const std::vector<sparsr_image>& images, int32_t height, int32_t width,
             const std::vector<sparsr_image>& results) {
        const std::lock_guard<std::mutex> lock(mutex_);
        char error[message_size] = "";
        context_ = context;
        if (!pooled_) {
            const sparsr_pool pool{session_threads(api_, context), this, &Kernel::parallel};
            require(pool.threads == 1 || sparsr_set_pool(model_.get(), &pool, error, sizeof error), error);
            pooled_ = true;
        }
        const int done = sparsr_run_images(model_.get(), int32_t(images.size()), images.data(), height, width,
                                           results.data(), nullptr, nullptr, error, sizeof error);
        require(done == 1, error);
    }

    static void parallel(void* kernel, void (*work)(void*, int32_t), void* argument, int32_t count) {
        const auto* const self = static_cast<const Kernel*>(kernel);
        const auto body = [work, argument](size_t index) { work(argument, int32_t(index)); };
        parallel_run(self->api_, self->context_, size_t(count), body);
    }

    Api api_;
    int64_t scale_ = 0;
    std::unique_ptr<sparsr_model, Free> model_;
    sparsr_info info_{};
    std::mutex mutex_;
    KernelContext* context_ = nullptr;  // of the run in progress
    bool pooled_ = false;
};

}  // namespace

Status* create_stream(const CustomOp*, Table table, const KernelInfo* info, void** kernel) {
    return guarded(Api(table), [&] { *kernel = new Kernel(Api(table), info); });
}

Status* run_stream(void* kernel, KernelContext* context) {
    auto* const self = static_cast<Kernel*>(kernel);
    return guarded(self->api(), [&] { self->compute(context); });
}

void destroy_stream(void* kernel) { delete static_cast<Kernel*>(kernel); }

}  // namespace sparsr::ort
