// Every channel's mean, standard deviation or largest value over the whole map.
#include "ops/moments.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/operator.h"
#include "ops/plain.h"

namespace sparsr::SPARSR_REAL {

namespace {

const Real* line(const View& map, size_t channel, int y) { return map.row<Real>(y) + channel * map.stride(); }

double pixels(const View& map) { return double(map.height()) * map.width(); }

Size one_value(const Layer&, const std::vector<Size>&) { return {1, 1}; }

RowRange all_rows(const Op&, size_t, const ResultRows& asked) { return {0, asked.input_height}; }

int no_vectors(const Op&, const std::vector<int>&) { return 0; }

class Moments : public PlainWork {
public:
    Moments(const Op& op, Operands operands, const Kernels& kernels)
        : PlainWork(op, std::move(operands)), kernels_(kernels) {}

    void run(int, int, float*) override {
        const std::vector<double> values = moments();
        for (int c = 0; c < out().channels; ++c) put(c, 0, 0, float(values[size_t(c)]));
    }

private:
    std::vector<double> moments() const {
        if (layer_.kind == Kind::maximum) return maxima(in());
        std::vector<double> values = means(in(), kernels_);
        if (layer_.kind == Kind::mean) return values;
        values = variances(in(), values);
        for (double& value : values) value = std::sqrt(value);
        return values;
    }

    const Kernels& kernels_;
};

std::unique_ptr<Work> make(const Op& op, const Choice&, Operands operands, const KernelSet& kernels) {
    return std::make_unique<Moments>(op, std::move(operands), typed(kernels));
}

Operator moments(const char* name) {
    Operator row{name, 1, 1, read_nothing, make, one_value, all_rows};
    row.vectors = no_vectors;
    return row;
}

}  // namespace

// In the order of memory.
std::vector<double> means(const View& map, const Kernels& kernels) {
    std::vector<double> totals(size_t(map.channels));
    for (int y = 0; y < map.height(); ++y)
        for (size_t c = 0; c < totals.size(); ++c)
            totals[c] += kernels.sum(line(map, c, y), map.vectors() * kernels.lanes);
    for (double& total : totals) total /= pixels(map);
    return totals;
}

std::vector<double> variances(const View& map, const std::vector<double>& means) {
    std::vector<double> totals(means.size());
    for (int y = 0; y < map.height(); ++y)
        for (size_t c = 0; c < totals.size(); ++c) {
            const Real* x = line(map, c, y);
            for (int column : map.buffer->columns) {
                const double distance = double(x[column]) - means[c];
                totals[c] += distance * distance;
            }
        }
    for (double& total : totals) total /= pixels(map);
    return totals;
}

std::vector<double> maxima(const View& map) {
    std::vector<double> largest(size_t(map.channels), -std::numeric_limits<double>::infinity());
    for (int y = 0; y < map.height(); ++y)
        for (size_t c = 0; c < largest.size(); ++c) {
            const Real* x = line(map, c, y);
            for (int column : map.buffer->columns) largest[c] = std::max(largest[c], double(x[column]));
        }
    return largest;
}

Operator mean_operator();
Operator mean_operator() { return moments("GlobalMean"); }

Operator deviation_operator();
Operator deviation_operator() { return moments("GlobalStd"); }

Operator maximum_operator();
Operator maximum_operator() { return moments("GlobalMax"); }

}  // namespace sparsr::SPARSR_REAL
