#include "ops/operator.h"
#include "ops/reals.h"

namespace sparsr::SPARSR_REAL {

#define OPERATOR(name) Operator name##_operator();
#include "ops/operators.def"
#undef OPERATOR

const Operator& operator_of(Kind kind);
const Operator& operator_of(Kind kind) {
    static const Operator table[] = {
#define OPERATOR(name) name##_operator(),
#include "ops/operators.def"
#undef OPERATOR
    };
    return table[size_t(kind)];
}

}  // namespace sparsr::SPARSR_REAL
