// Operations on single lines of n values, for maxima and sigmoids any number of them, else whole vectors; the compiler turns
// these loops into vectors.
#include <math.h>

#include "kernels/simd.h"

namespace sparsr::SPARSR_ISA {

namespace {

#ifdef SPARSR_HALF
// A part of a line. The compiler makes no vectors of loops that convert, so that values are converted before and after.
struct Part {
    static constexpr int most = 8 * lanes;
    float values[most];
};

SPARSR_INLINE Part widened(const Real* x, int n) {
    Part floats;
    for (int i = 0; i < n; i += 4) vst1q_f32(floats.values + i, vcvt_f32_f16(vld1_f16(x + i)));
    return floats;
}

template <class Function, class... Inputs>
SPARSR_INLINE void apply(int n, Real* out, Function function, const Inputs&... x) {
    Part results;
    for (int i = 0; i < n; ++i) results.values[i] = function(x.values[i]...);
    for (int i = 0; i < n; i += 4) vst1_f16(out + i, vcvt_f16_f32(vld1q_f32(results.values + i)));
}

// out[i] = function(x[i]...), in float.
template <class Function, class... Lines>
SPARSR_INLINE void each(int n, Real* out, Function function, Lines... x) {
    for (int i = 0; i < n; i += Part::most) {
        const int part = n - i < Part::most ? n - i : Part::most;
        apply(part, out + i, function, widened(x + i, part)...);
    }
}

SPARSR_INLINE Vector load_some(const Real* x, int n) {
    Vector values = {};
    memcpy(&values, x, size_t(n) * sizeof(Real));
    return values;
}

// The same in half precision, for what rounds once, or hardly more often. Any n, from anywhere.
template <class Function, class... Lines>
SPARSR_INLINE void each_vector(int n, Real* out, Function function, Lines... x) {
    int i = 0;
    for (; i + lanes <= n; i += lanes) {
        const Vector results = function(load_anywhere(x + i)...);
        memcpy(out + i, &results, sizeof results);
    }
    if (i == n) return;
    const Vector results = function(load_some(x + i, n - i)...);
    memcpy(out + i, &results, size_t(n - i) * sizeof(Real));
}

SPARSR_INLINE Vector constant(float x) { return broadcast(Real(x)); }
#else
template <class Function, class... Lines>
SPARSR_INLINE void each(int n, Real* out, Function function, Lines... x) {
    for (int i = 0; i < n; ++i) out[i] = function(x[i]...);
}

// In half precision by vectors.
template <class Function, class... Lines>
SPARSR_INLINE void each_vector(int n, Real* out, Function function, Lines... x) {
    each(n, out, function, x...);
}

SPARSR_INLINE float constant(float x) { return x; }
SPARSR_INLINE float larger(float x, float y) { return x < y ? y : x; }
#endif

}  // namespace

void affine(const Real* x, int n, float factor, float offset, Real* out) {
    each(n, out, [=](float a) { return a * factor + offset; }, x);
}

void add(const Real* x, const Real* y, int n, Real* out) {
    each_vector(n, out, [](auto a, auto b) { return a + b; }, x, y);
}

void scaled_add(const Real* x, int n, float factor, const Real* y, Real* out) {
    each(n, out, [=](float a, float b) { return a * factor + b; }, x, y);
}

void weighted_sum(const float* x, int count, const float* rows, int width, float* out) {
    constexpr int chains = 4, part = sizeof(FewFloats) / sizeof(float);  // one sum would wait for itself
    const auto few = [](const float* from) {
        FewFloats values;
        memcpy(&values, from, sizeof values);
        return values;
    };
    for (int begin = 0; begin < width; begin += part) {
        FewFloats sums[chains] = {};
        const auto add = [&](int chain, int i) { sums[chain] += x[i] * few(rows + ptrdiff_t(i) * width + begin); };
        int i = 0;
        for (; i + chains <= count; i += chains)
#pragma GCC unroll 4
            for (int chain = 0; chain < chains; ++chain) add(chain, i + chain);
        for (; i < count; ++i) add(0, i);
        const FewFloats all = few(out + begin) + ((sums[0] + sums[1]) + (sums[2] + sums[3]));
        memcpy(out + begin, &all, sizeof all);
    }
}

void mul(const Real* x, const Real* y, int n, Real* out) {
    each_vector(n, out, [](auto a, auto b) { return a * b; }, x, y);
}

void halve(const Real* upper, const Real* lower, int vectors, Real* out) {
    for (int v = 0; v < vectors; ++v, upper += 2 * lanes, lower += 2 * lanes, out += lanes)
        save(out, ((load(upper) + load(upper + lanes)) + (load(lower) + load(lower + lanes))) * broadcast(Real(0.25f)));
}

void maximum(const Real* x, const Real* y, int n, Real* out) {
    each_vector(n, out, [](auto a, auto b) { return larger(a, b); }, x, y);
}

void mix(const Real* x, const Real* y, int n, float share, Real* out) {
    const auto first = constant(1 - share), second = constant(share);
    each_vector(n, out, [=](auto a, auto b) { return a * first + b * second; }, x, y);
}

void interpolate(const Real* x, const int32_t* low, const int32_t* high, const float* share, int n, Real* out) {
    for (int i = 0; i < n; ++i) out[i] = Real(x[low[i]] * (1 - share[i]) + x[high[i]] * share[i]);
}

void to_bytes(const Real* x, int n, float factor, uint8_t* out) {
    for (int i = 0; i < n; ++i) {
        const float value = x[i] * factor + 0.5f;  // halves up
        // The comparisons are false for what is not a number.
        out[i] = static_cast<uint8_t>(static_cast<int32_t>(value >= 255 ? 255 : value > 0 ? value : 0));
    }
}

double sum(const Real* x, int n) {
    constexpr int chains = 4;  // additions at once: one must wait for the one before
    Floats sums[chains] = {};
    int i = 0;
    for (; i + chains * lanes <= n; i += chains * lanes)
#pragma GCC unroll 4
        for (int chain = 0; chain < chains; ++chain)
            sums[chain] += floats_of(load(x + i + chain * lanes));
    for (; i < n; i += lanes) sums[0] += floats_of(load(x + i));
    const Floats all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    double parts[lanes];
#pragma GCC unroll 32
    for (int lane = 0; lane < lanes; ++lane) parts[lane] = static_cast<double>(all[lane]);
#pragma GCC unroll 5
    for (int half = lanes / 2; half; half /= 2)
#pragma GCC unroll 16
        for (int lane = 0; lane < half; ++lane) parts[lane] += parts[lane + half];
    return parts[0];
}

void leaky_line(const Real* x, int n, float slope, Real* out) {
    each(n, out, [=](float a) { return a < 0 ? a * slope : a; }, x);
}

namespace {

// e^x for -87 <= x <= 0: 2^k by the exponent's bits, the rest (|r| <= ln 2 / 2) by a Taylor series to r^7.
inline float exponential(float x) {
    const float k = rintf(x * 1.44269504f);
    const float r = x - k * 0.693359375f + k * 2.12194440e-4f;  // ln 2 in two parts
    float series = 1.0f / 5040;
    series = series * r + 1.0f / 720;
    series = series * r + 1.0f / 120;
    series = series * r + 1.0f / 24;
    series = series * r + 1.0f / 6;
    series = series * r + 0.5f;
    series = series * r + 1;
    series = series * r + 1;
    const int32_t bits = (static_cast<int32_t>(k) + 127) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return series * power;
}

inline float logistic(float x) {
    // Also for a value that is not a number: the comparison is false.
    const float distance = x < 0 ? -x : x;
    const float small = exponential(distance < 87 ? -distance : -87);
    return (x < 0 ? small : 1) / (1 + small);
}

#ifdef SPARSR_HALF
// The same, with a series to r^4; results below 2^-14 are about that.
inline Vector logistic(Vector x) {
    const Vector distance = vminq_f16(vabsq_f16(x), constant(9.7f));
    const Vector k = vrndnq_f16(distance * constant(-1.44269504f));
    const Vector r = vfmaq_f16(vfmsq_f16(-distance, k, constant(0.693359375f)), k, constant(2.12194440e-4f));
    Vector series = constant(1.0f / 24);
    series = series * r + constant(1.0f / 6);
    series = series * r + constant(0.5f);
    series = series * r + constant(1);
    series = series * r + constant(1);
    const int16x8_t bits = vshlq_n_s16(vaddq_s16(vcvtq_s16_f16(k), vdupq_n_s16(15)), 10);
    const Vector small = series * vreinterpretq_f16_s16(bits);
    return vbslq_f16(vcltzq_f16(x), small, constant(1)) / (constant(1) + small);
}
#endif

}  // namespace

void sigmoid(const Real* x, int n, Real* out) {
    each_vector(n, out, [](auto a) { return logistic(a); }, x);
}

void silu(const Real* x, int n, Real* out) {
    each_vector(n, out, [](auto a) { return a * logistic(a); }, x);
}

void gate(const Real* x, const Real* y, int n, Real* out) {
    each_vector(n, out, [](auto a, auto b) { return a * logistic(b); }, x, y);
}

namespace {

inline float magnitude(float x) { return x < 0 ? -x : x; }

// e^x for any x <= 0.
inline float small_power(float x) { return exponential(x > -87 ? x : -87); }

inline float hyperbolic_tangent(float x) {
    const float small = small_power(-2 * magnitude(x)), result = (1 - small) / (1 + small);
    return x < 0 ? -result : result;
}

// The normal distribution's tail beyond |x| is t e^(p(t) - x^2 / 2) / 2, t = 1 / (1 + |x| / sqrt 8); p fitted by Chebyshev
// polynomials for |x| < 13, where the tail ends in float. Largest error of x times the distribution: 1.4e-7 of max(1, |x|).
inline float gelu(float x) {
    const float z = magnitude(x) * 0.70710678f, t = 1 / (1 + 0.5f * z);
    float series = 0.08678780f;
    series = series * t - 0.59497368f;
    series = series * t + 1.55739725f;
    series = series * t - 1.87579167f;
    series = series * t + 0.91679323f;
    series = series * t - 0.26314554f;
    series = series * t + 0.44601050f;
    series = series * t + 0.99206305f;
    series = series * t - 1.26514101f;
    const float tail = 0.5f * t * small_power(series - z * z);
    return x * (x < 0 ? tail : 1 - tail);
}

// (1 + tanh(y)) / 2 is the logistic function of 2 y.
inline float gelu_tanh(float x) { return x * logistic(x * (1.59576912f + 0.07135482f * x * x)); }

// tanh(log(1 + e^x)) = (e^2x + 2 e^x) / (e^2x + 2 e^x + 2), by powers that cannot overflow.
inline float mish(float x) {
    const float small = small_power(-magnitude(x));
    const float over = x < 0 ? small * (small + 2) : 1 + 2 * small;
    return x * over / (x < 0 ? over + 2 : over + 2 * small * small);
}

inline float clipped(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

}  // namespace

void gelu_line(const Real* x, int n, Real* out) {
    each(n, out, [](float a) { return gelu(a); }, x);
}

void gelu_tanh_line(const Real* x, int n, Real* out) {
    each(n, out, [](float a) { return gelu_tanh(a); }, x);
}

void mish_line(const Real* x, int n, Real* out) {
    each(n, out, [](float a) { return mish(a); }, x);
}

void hardswish_line(const Real* x, int n, Real* out) {
    each(n, out, [](float a) { return a * clipped(a * (1.0f / 6) + 0.5f, 0, 1); }, x);
}

void tanh_line(const Real* x, int n, Real* out) {
    each(n, out, [](float a) { return hyperbolic_tangent(a); }, x);
}

void clip_line(const Real* x, int n, float low, float high, Real* out) {
    each(n, out, [=](float a) { return clipped(a, low, high); }, x);
}

void channel_norm(const ChannelNorm& norm) {
    for (ptrdiff_t v = 0; v < norm.vectors; ++v) {
        const auto value = [&](ptrdiff_t c) { return floats_of(load(norm.in + c * norm.in_channel + v * lanes)); };
        Floats mean = {}, squares = {}, factor;
        for (ptrdiff_t c = 0; c < norm.channels; ++c) mean += value(c);
        mean = mean / static_cast<float>(norm.channels);
        for (ptrdiff_t c = 0; c < norm.channels; ++c) squares += (value(c) - mean) * (value(c) - mean);
        for (int lane = 0; lane < lanes; ++lane)
            factor[lane] = 1 / sqrtf(squares[lane] / static_cast<float>(norm.channels) + norm.epsilon);
        for (ptrdiff_t c = 0; c < norm.channels; ++c)
            save(norm.out + c * norm.out_channel + v * lanes,
                 reals_of((value(c) - mean) * factor * norm.gain[c] + norm.shift[c]));
    }
}

void fill_sides(Real* line, int channels, ptrdiff_t stride, int vectors, int left, int right) {
    // Beyond the last lane lies nothing.
    for (int c = 0; c < channels; ++c, line += stride) {
        for (int i = 1; i <= left; ++i) {
            Vector x = load_anywhere(line + (vectors - i) * lanes - 1);
            x[0] = 0;
            save(line - i * lanes, x);
        }
        for (int i = 0; i < right; ++i) {
            Vector x = load_anywhere(line + i * lanes + 1);
            x[lanes - 1] = 0;
            save(line + (vectors + i) * lanes, x);
        }
    }
}

}  // namespace sparsr::SPARSR_ISA
