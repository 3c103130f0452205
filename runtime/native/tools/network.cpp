#include "tools/network.h"

#include <vector>

#include "model/json.h"
#include "tools/device.h"

namespace {

constexpr size_t error_size = 1000;

}  // namespace

Network::Network(const std::string& path, const std::string& isa, int threads) {
    char error[error_size];
    const std::vector<char> content = read_file(path);
    model_.reset(sparsr_load(content.data(), content.size(), isa.empty() ? nullptr : isa.c_str(), 0, error, error_size));
    if (!model_ || !sparsr_set_threads(model_.get(), threads, error, error_size)) fail(error);
    if (info().input_channels != 3 || info().output_channels != 3) fail("the network does not take and give 3 channels");
}

void Network::set_size(int width, int height) {
    char error[error_size];
    width_ = width, height_ = height;
    if (!sparsr_output_size(model_.get(), height, width, &out_height_, &out_width_, error, error_size)) fail(error);
}

void Network::run(sparsr_type type, const void* input, void* output) {
    char error[error_size];
    const sparsr_image from{type, const_cast<void*>(input), ptrdiff_t(width_) * 3, 3, 1};
    const sparsr_image to{type, output, ptrdiff_t(out_width_) * 3, 3, 1};
    if (sparsr_run(model_.get(), &from, height_, width_, &to, nullptr, nullptr, error, error_size) <= 0) fail(error);
}

bool Network::run_rows(sparsr_type type, const void* input, const std::function<bool(const void* row)>& take) {
    char error[error_size];
    const sparsr_image from{type, const_cast<void*>(input), ptrdiff_t(width_) * 3, 3, 1};
    const sparsr_image to{type, nullptr, ptrdiff_t(out_width_) * 3, 3, 1};
    const sparsr_row_ready pass_on = [](void* user, int32_t, const void* row) {
        return int((*static_cast<const std::function<bool(const void*)>*>(user))(row));
    };
    void* user = const_cast<void*>(static_cast<const void*>(&take));
    const int done = sparsr_run(model_.get(), &from, height_, width_, &to, pass_on, user, error, error_size);
    if (!done) fail(error);
    return done > 0;
}

sparsr_info Network::info() const {
    sparsr_info info;
    sparsr_get_info(model_.get(), &info);
    return info;
}

long long Network::multiply_adds() const {
    using sparsr::Json;
    std::string plan(sparsr_describe(model_.get(), nullptr, 0) + 1, '\0');
    sparsr_describe(model_.get(), plan.data(), plan.size());
    plan.pop_back();
    double sum = 0;
    const Json described = Json::parse(plan);
    for (const Json& operation : described.at("operations").array("operations")) {
        const std::string& kernel = operation.at("kernel").string("kernel");
        const Json* done = operation.find("kernel_macs");
        if (done && kernel != "plain") sum += done->number("kernel_macs");
    }
    return static_cast<long long>(sum + 0.5);
}
