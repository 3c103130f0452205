// What convolutions cost on each kernel: by constants, or measured on this machine and remembered in the user's cache.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cost/measure.h"
#include "graph/op.h"
#include "ops/work.h"

namespace sparsr {

struct Cost {
    double seconds = 0;  // of one thread, for one output row before depth-to-space
    bool measured = false;
    // Of masked blocks, whose `seconds` are those with every pixel important: with none, and without masks.
    double none = 0, dense = 0;
};

// Multiply-adds that a kernel computes for every pixel of a convolution of so many channels, in lines of so many vectors.
double kernel_products(const Layer& layer, Choice::Kernel kernel, int channels, int vectors);

class Costs {
public:
    // Measures only where there is a cache to keep the results in.
    Costs(const KernelSet& kernels, bool measure);
    // Of `choices` for a convolution of `channels` channels on lines of `vectors` vectors the cheapest, and its cost.
    std::pair<Choice, Cost> cheapest(const Op& op, const std::vector<Choice>& choices, int channels, int vectors);
    // Of convolutions, those of masked blocks too; nothing for what has no choice.
    Cost of(const Op& op, const Choice& choice, int channels, int vectors);
    // Keeps what is new for the next time; without success if it cannot be.
    void save();

private:
    Cost masked(const Op& op, int vectors);
    // What is known under a name, or else measured now as long as there is patience.
    std::optional<double> find(const std::string& name, const std::function<double(const Meter&)>& measure);

    const KernelSet* kernels_;
    bool measure_;
    double left_;  // seconds that may yet be spent on measuring
    bool changed_ = false;
    std::unique_ptr<Meter> meter_;  // while there is something to measure
    std::map<std::string, double> known_;
};

}  // namespace sparsr
