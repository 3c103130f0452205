#include "ops/activation.h"

#include <algorithm>
#include <cmath>

#include "error.h"
#include "ops/lines.h"
#include "ops/make.h"

namespace sparsr {

#ifndef SPARSR_HALF
namespace {

Activation leaky(std::vector<float> slopes) {
    const bool sane = std::all_of(slopes.begin(), slopes.end(), [](float slope) { return std::abs(slope) <= 1e6f; });
    require(sane, "a slope is out of range");
    return {Function::leaky, std::move(slopes), 0, 0};
}

}  // namespace

Activation read_activation(const Entry& entry, int channels) {
    const std::string& name = entry.text("function");
    if (name == "relu") return leaky({0});
    if (name == "prelu") return leaky(entry.floats("slopes", size_t(channels)));
    if (name == "leaky_relu") return leaky({float(entry.number("slope"))});
    if (name == "clip") {
        Activation clip{Function::clip, {1}, float(entry.number("low")), float(entry.number("high"))};
        require(clip.low <= clip.high, "the bounds of a clip are out of order");
        return clip;
    }
    constexpr const char* names[] = {
#define FUNCTION(function, text) text,
#include "ops/functions.def"
#undef FUNCTION
    };
    const auto* const found = std::find_if(std::begin(names) + 1, std::end(names), [&](const char* other) { return name == other; });
    require(found != std::end(names), "the activation " + name + " is not known");
    return {Function(found - names), {1}, 0, 0};
}
#endif

namespace SPARSR_REAL {

namespace {

float plain_none(float x) { return x; }
float plain_sigmoid(float x) {
    const float small = std::exp(-std::abs(x));  // only of negative numbers, which cannot overflow
    return (x < 0 ? small : 1) / (1 + small);
}
float plain_silu(float x) { return x * plain_sigmoid(x); }
float plain_gelu(float x) { return 0.5f * x * std::erfc(-x * 0.70710678f); }
float plain_gelu_tanh(float x) { return 0.5f * x * (1 + std::tanh(0.79788456f * (x + 0.044715f * x * x * x))); }
float plain_mish(float x) { return x * std::tanh(x > 20 ? x : std::log1p(std::exp(x))); }
float plain_hardswish(float x) { return x * std::clamp(x / 6 + 0.5f, 0.0f, 1.0f); }
float plain_tanh(float x) { return std::tanh(x); }
float plain_elu(float x) { return x < 0 ? std::expm1(x) : x; }
float plain_softplus(float x) { return std::max(x, 0.0f) + std::log1p(std::exp(-std::abs(x))); }
float plain_softsign(float x) { return x / (1 + std::abs(x)); }
float plain_exp(float x) { return std::exp(x); }
float plain_log(float x) { return std::log(x); }
float plain_sqrt(float x) { return std::sqrt(x); }
float plain_reciprocal(float x) { return 1 / x; }
float plain_sine(float x) { return std::sin(x); }
float plain_cosine(float x) { return std::cos(x); }
float plain_sign(float x) { return float((x > 0) - (x < 0)); }
float plain_floor(float x) { return std::floor(x); }
float plain_ceiling(float x) { return std::ceil(x); }
float plain_round(float x) { return std::nearbyint(x); }  // halves to even numbers

// The obvious form of a function of x alone, and its kernel for a line, if it has one. Leaky ones have factors besides, clips bounds.
struct FunctionRow {
    Function function;
    float (*plain)(float);
    void (*Kernels::*line)(const Real* x, int n, Real* out);
};
constexpr FunctionRow functions[] = {
    {Function::none, plain_none, nullptr},
    {Function::leaky, plain_none, nullptr},
    {Function::sigmoid, plain_sigmoid, &Kernels::sigmoid},
    {Function::silu, plain_silu, &Kernels::silu},
    {Function::gelu, plain_gelu, &Kernels::gelu},
    {Function::gelu_tanh, plain_gelu_tanh, &Kernels::gelu_tanh},
    {Function::mish, plain_mish, &Kernels::mish},
    {Function::hardswish, plain_hardswish, &Kernels::hardswish},
    {Function::tanh, plain_tanh, &Kernels::tanh},
    {Function::clip, plain_none, nullptr},
    {Function::elu, plain_elu, nullptr},
    {Function::softplus, plain_softplus, nullptr},
    {Function::softsign, plain_softsign, nullptr},
    {Function::exp, plain_exp, nullptr},
    {Function::log, plain_log, nullptr},
    {Function::sqrt, plain_sqrt, nullptr},
    {Function::reciprocal, plain_reciprocal, nullptr},
    {Function::sine, plain_sine, nullptr},
    {Function::cosine, plain_cosine, nullptr},
    {Function::sign, plain_sign, nullptr},
    {Function::floor, plain_floor, nullptr},
    {Function::ceiling, plain_ceiling, nullptr},
    {Function::round, plain_round, nullptr},
};

constexpr bool in_order() {
    size_t place = 0;
    for (const FunctionRow& row : functions)
        if (size_t(row.function) != place++) return false;
#define FUNCTION(name, text) +1
    return place == size_t(0
#include "ops/functions.def"
    );
#undef FUNCTION
}
static_assert(in_order(), "there is a row for every function, in the order of functions.def");

class ActivationWork : public LineWork {
public:
    using LineWork::LineWork;

private:
    void compute(int c, int y, Real* out) override {
        const Real* x = line(0, c, y);
        if (x != out) std::copy(x, x + n_, out);
    }
};

}  // namespace

float activated(const Activation& activation, size_t channel, float x) {
    if (activation.function == Function::leaky) return x < 0 ? activation.slope(channel) * x : x;
    if (activation.function == Function::clip) return std::clamp(x, activation.low, activation.high);
    return functions[size_t(activation.function)].plain(x);
}

void activate_line(const Activation& activation, size_t channel, Real* line, int n, const Kernels& kernels) {
    if (activation.function == Function::leaky) return kernels.leaky(line, n, activation.slope(channel), line);
    if (activation.function == Function::clip) return kernels.clip(line, n, activation.low, activation.high, line);
    const FunctionRow& row = functions[size_t(activation.function)];
    if (row.line) return (kernels.*row.line)(line, n, line);
    if (row.function != Function::none)
        for (int i = 0; i < n; ++i) line[i] = Real(row.plain(line[i]));
}

void activate_row(const Activation& activation, const View& view, int y, const Kernels& kernels) {
    for (int c = 0; c < view.channels; ++c)
        activate_line(activation, size_t(c), view.row<Real>(y) + size_t(c) * view.stride(), view.vectors() * kernels.lanes,
                      kernels);
}

Operator activation_operator();
Operator activation_operator() {
    Operator row{"Activation", 1, 1, read_nothing, make_lines<ActivationWork>};
    row.choices = lines_choice;
    row.in_place = first_in_place;
    return row;
}

}  // namespace SPARSR_REAL

}  // namespace sparsr
