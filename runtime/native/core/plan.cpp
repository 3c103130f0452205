#include "plan.h"

#include <algorithm>

namespace sparsr {

namespace {

class Planner {
public:
    explicit Planner(const Program& program) : program_(program) {
        plan_.channels = program.channels;
        plan_.output = program.output;
        aliases_.resize(program.channels.size());
        members_.resize(program.channels.size());
        count_readers();
    }

    Plan plan() {
        for (size_t i = 0; i < program_.layers.size(); ++i)
            if (program_.layers[i].kind == Kind::slice)
                alias(int(i) + 1, program_.layers[i].inputs[0], program_.layers[i].start);
        // The last concatenation first, so that one inside another finds its place in the larger buffer.
        std::vector<std::vector<Op>> copies(program_.layers.size());
        for (size_t i = program_.layers.size(); i-- > 0;)
            if (program_.layers[i].kind == Kind::concat && used_[i + 1]) copies[i] = join(int(i));
        add_ops(copies);
        for (size_t t = 0; t < plan_.channels.size(); ++t) plan_.places.push_back(place(int(t)));
        find_producers();
        return std::move(plan_);
    }

private:
    // Only what the output depends on counts as read.
    void count_readers() {
        const size_t tensors = program_.channels.size();
        readers_.assign(tensors, {});
        used_.assign(tensors, false);
        used_[size_t(program_.output)] = true;
        used_[0] = true;
        for (size_t i = program_.layers.size(); i-- > 0;) {
            if (!used_[i + 1]) continue;
            for (int input : program_.layers[i].inputs) {
                used_[size_t(input)] = true;
                readers_[size_t(input)].push_back(int(i));
            }
        }
    }

    void alias(int tensor, int parent, int first) { aliases_[size_t(tensor)] = {parent, first, true}; }

    // Gives every input of the concatenation its place; inputs that have one already get a copy there.
    std::vector<Op> join(int index) {
        std::vector<Op> copies;
        int first = 0;
        for (int input : program_.layers[size_t(index)].inputs) {
            int member = input;
            if (aliases_[size_t(input)].set) {
                member = int(plan_.channels.size());
                plan_.channels.push_back(plan_.channels[size_t(input)]);
                aliases_.push_back({});
                Op copy;
                copy.kind = Op::Kind::copy;
                copy.inputs = {input};
                copy.output = member;
                copies.push_back(copy);
            }
            alias(member, index + 1, first);
            members_[size_t(index) + 1].push_back(member);
            first += plan_.channels[size_t(member)];
        }
        return copies;
    }

    void add_ops(const std::vector<std::vector<Op>>& copies) {
        Op source;
        source.kind = Op::Kind::source;
        plan_.ops.push_back(source);
        fused_.assign(program_.layers.size(), false);
        for (size_t i = 0; i < program_.layers.size(); ++i) {
            const Layer& layer = program_.layers[i];
            plan_.ops.insert(plan_.ops.end(), copies[i].begin(), copies[i].end());
            if (fused_[i] || !used_[i + 1] || layer.kind == Kind::slice || layer.kind == Kind::concat) continue;
            Op op;
            op.layer = &layer;
            op.inputs = layer.inputs;
            op.output = int(i) + 1;
            op.activation = layer.activation;
            if (layer.kind == Kind::conv) fuse(op);
            plan_.ops.push_back(op);
        }
    }

    // Takes the only reader of a convolution's result into the convolution, if it is of a kind that can be.
    void fuse(Op& op) {
        const int tensor = op.output;
        const auto& readers = readers_[size_t(tensor)];
        if (readers.size() != 1 || tensor == program_.output || aliases_[size_t(tensor)].set) return;
        const Layer& next = program_.layers[size_t(readers[0])];
        if (fused_[size_t(readers[0])]) return;
        const bool linear = op.activation.function == Activation::Function::none;
        if (next.kind == Kind::add && linear) {
            op.residual = next.inputs[next.inputs[0] == tensor];
            op.activation = next.activation;
        } else if (next.kind == Kind::depth_to_space) {
            op.block = next.block;
        } else {
            return;
        }
        op.output = readers[0] + 1;
        fused_[size_t(readers[0])] = true;
    }

    Place place(int tensor) const {
        int first = 0;
        while (aliases_[size_t(tensor)].set) {
            first += aliases_[size_t(tensor)].first;
            tensor = aliases_[size_t(tensor)].parent;
        }
        return {tensor, first};
    }

    void find_producers() {
        plan_.producers.resize(plan_.channels.size());
        for (size_t i = 0; i < plan_.ops.size(); ++i) plan_.producers[size_t(plan_.ops[i].output)].push_back(int(i));
        // Members come before what they are part of, whose entries are complete when a later one asks for them.
        for (size_t t = 0; t < program_.channels.size(); ++t) {
            auto& own = plan_.producers[t];
            for (int member : members_[t]) {
                const auto& more = plan_.producers[size_t(member)];
                own.insert(own.end(), more.begin(), more.end());
            }
            if (t > 0 && program_.layers[t - 1].kind == Kind::slice)
                own = plan_.producers[size_t(program_.layers[t - 1].inputs[0])];
        }
    }

    struct Alias {
        int parent = 0, first = 0;
        bool set = false;
    };
    const Program& program_;
    Plan plan_;
    std::vector<Alias> aliases_;
    std::vector<std::vector<int>> members_;  // of every concatenation's tensor
    std::vector<std::vector<int>> readers_;
    std::vector<bool> used_, fused_;
};

}  // namespace

Plan make_plan(const Program& program) { return Planner(program).plan(); }

}  // namespace sparsr
