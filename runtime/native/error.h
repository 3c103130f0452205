// The one exception this library throws besides std::bad_alloc; the C interface turns both into error codes.
#pragma once

#include <stdexcept>
#include <string>

namespace sparsr {

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void require(bool condition, const std::string& message) {
    if (!condition) throw Error(message);
}

}  // namespace sparsr
