// Some channels of a map, which are a part of it; and several maps as one, whose parts they are. Neither computes anything.
#include "ops/slice.h"

#include <algorithm>

#include "ops/operator.h"

namespace sparsr::SPARSR_REAL {

namespace {

int read_slice(Layer& layer, const Entry& entry) {
    const int channels = entry.channels()[0];
    auto options = std::make_shared<Slice>();
    options->start = entry.integer("start", 0, channels - 1);
    options->stop = entry.integer("stop", options->start + 1, channels);
    const int count = options->stop - options->start;
    layer.options = std::move(options);
    return count;
}

int read_concat(Layer&, const Entry& entry) {
    int64_t sum = 0;
    for (int channels : entry.channels()) sum += channels;
    return int(std::min<int64_t>(sum, max_channels + 1));
}

std::unique_ptr<Work> no_work(const Op&, const Choice&, Operands, const KernelSet&) { return nullptr; }

}  // namespace

Operator slice_operator();
Operator slice_operator() {
    Operator row{"SliceChannels", 1, 1, read_slice, no_work};
    row.view = true;
    return row;
}

Operator concat_operator();
Operator concat_operator() { return {"Concat", 1, max_channels, read_concat, no_work, size_of_equals}; }

}  // namespace sparsr::SPARSR_REAL
