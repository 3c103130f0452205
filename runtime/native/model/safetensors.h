// Safetensors files: 8 bytes header length, a JSON header, raw little-endian tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sparsr {

struct StoredTensor {
    std::string dtype;
    std::vector<int64_t> shape;
    const unsigned char* data = nullptr;  // in the caller's memory, maybe unaligned
    size_t elements = 0;
};

struct TensorTable {
    std::map<std::string, StoredTensor> tensors;

    // These throw Error if there is no such tensor or it is of another type.
    const StoredTensor& tensor(const std::string& name, const char* dtype) const;
    std::vector<float> floats(const std::string& name) const;
};

// The parts of a file in memory; it must outlive this.
struct Safetensors : TensorTable {
    std::map<std::string, std::string> metadata;

    // Throws Error if anything in the header is inconsistent or lies outside the file.
    Safetensors(const void* data, size_t size);
};

}  // namespace sparsr
