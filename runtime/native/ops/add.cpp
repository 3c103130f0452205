// The sum of two maps of one size.
#include "ops/lines.h"
#include "ops/make.h"

namespace sparsr::SPARSR_REAL {

namespace {

class AddWork : public LineWork {
public:
    using LineWork::LineWork;

private:
    void compute(int c, int y, Real* out) override { kernels_.add(line(0, c, y), line(1, c, y), n_, out); }
};

}  // namespace

Operator add_operator();
Operator add_operator() {
    Operator row{"Add", 2, 2, read_pair, make_lines<AddWork>, size_of_equals};
    row.choices = lines_choice;
    row.in_place = first_in_place;
    return row;
}

}  // namespace sparsr::SPARSR_REAL
