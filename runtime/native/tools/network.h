// A model from a file, behind the C interface; whatever fails is thrown as a sentence.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "c_api.h"

class Network {
public:
    // `isa`: as sparsr_load takes it, empty for the best.
    Network(const std::string& path, const std::string& isa, int threads);

    // From here on images have this size; computes the result's.
    void set_size(int width, int height);
    // Interleaved RGB, uint8 or float32, of the sizes set.
    void run(sparsr_type type, const void* input, void* output);
    // The same, row by row as they come; false if `take` did not want one.
    bool run_rows(sparsr_type type, const void* input, const std::function<bool(const void* row)>& take);

    // The multiply-adds of one run, as the kernels compute them.
    long long multiply_adds() const;
    sparsr_info info() const;
    int width() const { return width_; }
    int height() const { return height_; }
    int out_width() const { return out_width_; }
    int out_height() const { return out_height_; }

private:
    int width_ = 0, height_ = 0, out_width_ = 0, out_height_ = 0;
    std::unique_ptr<sparsr_model, void (*)(sparsr_model*)> model_{nullptr, sparsr_free};
};
