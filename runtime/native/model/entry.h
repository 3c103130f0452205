// A layer's entry in a program, as operators read it. Everything throws Error for what is missing or out of range.
#pragma once

#include <string>
#include <vector>

#include "model/json.h"
#include "model/safetensors.h"

namespace sparsr {

// Generous for networks, small enough that no product of three of them overflows 64 bits.
constexpr int max_channels = 16384, max_kernel = 64, max_stride = 16, max_block = 8;

class Entry {
public:
    // `channels`: of the layer's inputs.
    Entry(const Json& json, const TensorTable& tensors, std::vector<int> channels)
        : json_(json), tensors_(tensors), channels_(std::move(channels)) {}

    const std::vector<int>& channels() const { return channels_; }
    bool has(const char* key) const { return json_.find(key); }
    int integer(const char* key, int low, int high) const { return int(json_.at(key).integer(key, low, high)); }
    double number(const char* key) const { return json_.at(key).number(key); }
    const std::string& text(const char* key) const { return json_.at(key).string(key); }
    const std::vector<Json>& array(const char* key) const { return json_.at(key).array(key); }
    const Json& object(const char* key) const { return json_.at(key); }
    // The tensor whose name is there.
    const StoredTensor& tensor(const char* key, const char* dtype) const { return tensors_.tensor(text(key), dtype); }
    const StoredTensor& tensor_named(const std::string& name) const { return tensors_.tensor(name, "F32"); }
    std::vector<float> floats(const char* key) const { return tensors_.floats(text(key)); }
    std::vector<float> floats(const char* key, size_t count) const;
    // The same entry's part `key`.
    Entry part(const char* key) const { return {json_.at(key), tensors_, channels_}; }

private:
    const Json& json_;
    const TensorTable& tensors_;
    std::vector<int> channels_;
};

// One of the values, which may lie unaligned.
float value_at(const StoredTensor& tensor, size_t index);

}  // namespace sparsr
