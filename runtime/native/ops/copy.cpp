// A map as it is, for a place in a concatenation when it has another place already; and the caller's image, which has none.
#include "ops/lines.h"
#include "ops/make.h"

namespace sparsr::SPARSR_REAL {

namespace {

class CopyWork : public LineWork {
public:
    using LineWork::LineWork;

private:
    void compute(int c, int y, Real* out) override {
        const Real* x = line(0, c, y);
        std::copy(x, x + n_, out);
    }
};

// The executor itself reads the image.
std::unique_ptr<Work> no_work(const Op&, const Choice&, Operands, const KernelSet&) { return nullptr; }

int no_vectors(const Op&, const std::vector<int>&) { return 0; }

}  // namespace

Operator copy_operator();
Operator copy_operator() {
    Operator row{"", 1, 1, nullptr, make_lines<CopyWork>};
    row.choices = lines_choice;
    return row;
}

Operator source_operator();
Operator source_operator() {
    Operator row{"", 0, 0, nullptr, no_work};
    row.vectors = no_vectors;
    return row;
}

}  // namespace sparsr::SPARSR_REAL
