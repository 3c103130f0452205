// Every channel's mean or standard deviation over the whole map.
#include <cmath>

#include "ops/operator.h"
#include "ops/plain.h"

namespace sparsr::SPARSR_REAL {

namespace {

Size one_value(const Layer&, const std::vector<Size>&) { return {1, 1}; }

RowRange all_rows(const Op&, size_t, const ResultRows& asked) { return {0, asked.input_height}; }

int no_vectors(const Op&, const std::vector<int>&) { return 0; }

class Moments : public PlainWork {
public:
    Moments(const Op& op, Operands operands, const Kernels& kernels)
        : PlainWork(op, std::move(operands)), kernels_(kernels) {}

    void run(int, int, float*) override {
        const double pixels = double(in().height()) * in().width();
        const std::vector<double> all = sums();
        for (int c = 0; c < out().channels; ++c) {
            const double mean = all[size_t(c)] / pixels;
            put(c, 0, 0, float(layer_.kind == Kind::mean ? mean : std::sqrt(squares(c, mean) / pixels)));
        }
    }

private:
    // Of every channel, in the order of memory.
    std::vector<double> sums() const {
        std::vector<double> totals(size_t(out().channels));
        for (int y = 0; y < in().height(); ++y)
            for (size_t c = 0; c < totals.size(); ++c)
                totals[c] += kernels_.sum(line(in(), int(c), y), in().vectors() * kernels_.lanes);
        return totals;
    }

    double squares(int c, double centre) const {
        double total = 0;
        for (int y = 0; y < in().height(); ++y) {
            const Real* x = line(in(), c, y);
            for (int column : in().buffer->columns) {
                const double distance = double(x[column]) - centre;
                total += distance * distance;
            }
        }
        return total;
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

Operator mean_operator();
Operator mean_operator() { return moments("GlobalMean"); }

Operator deviation_operator();
Operator deviation_operator() { return moments("GlobalStd"); }

}  // namespace sparsr::SPARSR_REAL
