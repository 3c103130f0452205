#include "graph/fuse.h"

#include <algorithm>

#include "ops/depth_to_space.h"
#include "ops/masked/masked.h"
#include "ops/operator.h"
#include "ops/slice.h"

namespace sparsr {

namespace {

// Who reads what of a program.
struct Uses {
    explicit Uses(const Program& program) : readers(program.channels.size()), used(program.channels.size(), false) {
        used[size_t(program.output)] = true;
        used[0] = true;
        for (size_t i = program.layers.size(); i-- > 0;) {
            if (!used[i + 1]) continue;
            for (int input : program.layers[i].inputs) {
                used[size_t(input)] = true;
                readers[size_t(input)].push_back(int(i));
            }
        }
        padded.push_back(false);
        for (const Layer& layer : program.layers) {
            const int like = layer.inputs[layer.kind == Kind::resize ? 1 : 0];
            padded.push_back(operator_of(layer.kind).reframes || padded[size_t(like)]);
        }
    }

    std::vector<std::vector<int>> readers;  // layers, of every tensor; only what the output depends on counts
    std::vector<bool> used;                 // tensors that the output depends on
    std::vector<bool> padded;  // tensors that come from images made wider: their lines may hold other columns per lane
};

// Which tensors lie inside which others.
class Places {
public:
    explicit Places(size_t tensors) : aliases_(tensors) {}

    void add_tensor() { aliases_.push_back({}); }
    void put(int tensor, int parent, int first) { aliases_[size_t(tensor)] = {parent, first, true}; }
    bool is_inside(int tensor) const { return aliases_[size_t(tensor)].set; }

    Place place(int tensor) const {
        int first = 0;
        while (is_inside(tensor)) {
            first += aliases_[size_t(tensor)].first;
            tensor = aliases_[size_t(tensor)].parent;
        }
        return {tensor, first};
    }

private:
    struct Alias {
        int parent = 0, first = 0;
        bool set = false;
    };
    std::vector<Alias> aliases_;
};

class Fuser {
public:
    Fuser(const Program& program, const std::vector<bool>& idle)
        : program_(program), idle_(idle), uses_(program), places_(program.channels.size()), members_(program.channels.size()),
          fused_(program.layers.size(), false) {
        graph_.channels = program.channels;
        graph_.output = program.output;
    }

    Graph graph() {
        for (size_t i = 0; i < program_.layers.size(); ++i)
            if (is_view(i)) places_.put(int(i) + 1, program_.layers[i].inputs[0], first_channel(program_.layers[i]));
        // The last concatenation first, so that one inside another finds its place in the larger buffer.
        std::vector<std::vector<Op>> copies(program_.layers.size());
        for (size_t i = program_.layers.size(); i-- > 0;)
            if (program_.layers[i].kind == Kind::concat && uses_.used[i + 1]) copies[i] = join(int(i));
        add_ops(copies);
        graph_.layouts.resize(graph_.channels.size());
        for (size_t t = 0; t < graph_.channels.size(); ++t) graph_.places.push_back(places_.place(int(t)));
        find_producers();
        return std::move(graph_);
    }

private:
    // Whether the layer's result is a part of its input.
    bool is_view(size_t layer) const { return idle_[layer] || operator_of(program_.layers[layer].kind).view; }
    static int first_channel(const Layer& layer) { return layer.kind == Kind::slice ? layer.as<Slice>().start : 0; }

    // Gives every input of the concatenation its place; inputs that have one already get a copy there.
    std::vector<Op> join(int index) {
        std::vector<Op> copies;
        int first = 0;
        for (int input : program_.layers[size_t(index)].inputs) {
            int member = input;
            if (places_.is_inside(input)) {
                member = new_tensor(graph_.channels[size_t(input)]);
                Op copy;
                copy.kind = Kind::copy;
                copy.inputs = {input};
                copy.output = member;
                copies.push_back(copy);
            }
            places_.put(member, index + 1, first);
            members_[size_t(index) + 1].push_back(member);
            first += graph_.channels[size_t(member)];
        }
        return copies;
    }

    int new_tensor(int channels) {
        graph_.channels.push_back(channels);
        places_.add_tensor();
        return int(graph_.channels.size()) - 1;
    }

    void add_ops(const std::vector<std::vector<Op>>& copies) {
        Op source;
        source.kind = Kind::source;
        graph_.ops.push_back(source);
        for (size_t i = 0; i < program_.layers.size(); ++i) {
            const Layer& layer = program_.layers[i];
            graph_.ops.insert(graph_.ops.end(), copies[i].begin(), copies[i].end());
            if (fused_[i] || !uses_.used[i + 1] || is_view(i) || layer.kind == Kind::concat) continue;
            if (layer.kind == Kind::masked) {
                add_block(int(i));
                continue;
            }
            Op op;
            op.kind = layer.kind;
            op.layer = &layer;
            op.inputs = layer.inputs;
            op.output = int(i) + 1;
            op.activation = layer.activation;
            op.gates = layer.kind == Kind::mul && through_sigmoid(layer.inputs[1]);
            if (through_sigmoid(op.output)) op.activation = {};
            if (layer.kind == Kind::conv || layer.kind == Kind::mul) fuse(op);
            graph_.ops.push_back(op);
        }
    }

    // The mask, the features and every convolution's result have their channels side by side, pixel by pixel.
    void add_block(int index) {
        const Layer& layer = program_.layers[size_t(index)];
        const int channels = graph_.channels[size_t(layer.inputs[0])];
        const int mask = add_block_op(Kind::mask, layer, {layer.inputs[1]}, 1);
        int last = add_block_op(Kind::to_pixels, layer, {layer.inputs[0]}, channels);
        std::vector<int> results;
        for (size_t part = 0; part < layer.as<Masked>().parts.size(); ++part) {
            last = add_block_op(Kind::masked_conv, layer, {last, mask}, channels);
            graph_.ops.back().part = int(part);
            results.push_back(last);
        }
        results.push_back(mask);
        Op fuse;
        fuse.kind = Kind::masked_fuse;
        fuse.layer = &layer;
        fuse.inputs = results;
        fuse.output = index + 1;
        graph_.ops.push_back(fuse);
    }

    int add_block_op(Kind kind, const Layer& layer, std::vector<int> inputs, int channels) {
        Op op;
        op.kind = kind;
        op.layer = &layer;
        op.inputs = std::move(inputs);
        op.output = new_tensor(channels);
        graph_.layouts.resize(graph_.channels.size());
        graph_.layouts.back() = kind == Kind::mask ? Layout::mask : Layout::pixels;
        graph_.ops.push_back(op);
        return op.output;
    }

    // Whether a convolution's sigmoid is left to the product that alone reads it: arithmetic while that one waits for memory.
    bool through_sigmoid(int tensor) const {
        const int only = only_reader(tensor);
        if (tensor == 0 || only < 0) return false;
        const Layer &layer = program_.layers[size_t(tensor) - 1], &reader = program_.layers[size_t(only)];
        return layer.kind == Kind::conv && layer.activation.function == Function::sigmoid &&
               reader.kind == Kind::mul && reader.inputs[1] == tensor;
    }

    // Takes what alone reads a convolution's or product's result into that operation: a sum, and after a convolution the
    // rearrangement of its pixels.
    void fuse(Op& op) {
        if (const int sum = next(op, Kind::add); sum >= 0 && op.activation.function == Function::none) {
            const Layer& added = program_.layers[size_t(sum)];
            const int other = added.inputs[added.inputs[0] == op.output];
            if ((other > op.output && adds(other)) || uses_.padded[size_t(other)] != uses_.padded[size_t(op.output)]) return;
            op.residual = other;
            op.activation = added.activation;
            take(op, sum);
        }
        if (op.layer->kind != Kind::conv) return;
        const int shuffle = next(op, Kind::depth_to_space);
        if (shuffle < 0) return;
        op.block = program_.layers[size_t(shuffle)].as<DepthToSpace>().block;
        take(op, shuffle);
    }

    // The layer that alone reads the tensor, if that lies by itself and is not the output; or -1.
    int only_reader(int tensor) const {
        const auto& readers = uses_.readers[size_t(tensor)];
        return readers.size() == 1 && tensor != program_.output && !places_.is_inside(tensor) ? readers[0] : -1;
    }

    // That of the operation's result, if it is of that kind and no other one has taken it; or -1.
    int next(const Op& op, Kind kind) const {
        const int reader = only_reader(op.output);
        return reader >= 0 && program_.layers[size_t(reader)].kind == kind && !fused_[size_t(reader)] ? reader : -1;
    }

    void take(Op& op, int layer) {
        op.output = layer + 1;
        fused_[size_t(layer)] = true;
    }

    // Whether a convolution computes the tensor for a sum alone, and can add the rest itself.
    bool adds(int tensor) const {
        const Layer& layer = program_.layers[size_t(tensor) - 1];
        return layer.kind == Kind::conv && layer.activation.function == Function::none && only_reader(tensor) >= 0;
    }

    void find_producers() {
        graph_.producers.resize(graph_.channels.size());
        for (size_t i = 0; i < graph_.ops.size(); ++i) graph_.producers[size_t(graph_.ops[i].output)].push_back(int(i));
        // Members come before what they are part of, whose entries are complete when a later one asks for them.
        for (size_t t = 0; t < program_.channels.size(); ++t) {
            auto& own = graph_.producers[t];
            for (int member : members_[t]) {
                const auto& more = graph_.producers[size_t(member)];
                own.insert(own.end(), more.begin(), more.end());
            }
            if (t > 0 && is_view(t - 1))
                own = graph_.producers[size_t(program_.layers[t - 1].inputs[0])];
        }
    }

    const Program& program_;
    const std::vector<bool>& idle_;
    const Uses uses_;
    Places places_;
    Graph graph_;
    std::vector<std::vector<int>> members_;  // of every concatenation's tensor
    std::vector<bool> fused_;                // layers that others have taken in
};

}  // namespace

Graph make_graph(const Program& program, const std::vector<bool>& idle) { return Fuser(program, idle).graph(); }

}  // namespace sparsr
