#include "run/setup.h"

#include <algorithm>

namespace sparsr {

namespace {

int round_up(int value, int divisor) { return (value + divisor - 1) / divisor; }

// Lets every stage's steps end where the first reader's step needs its last row: then neither waits for rows that nobody
// needs yet, and the buffers stay small.
void align_steps(Pipeline& pipeline) {
    auto& stages = pipeline.stages;
    for (size_t index = stages.size(); index-- > 0;) {
        Stage& stage = stages[index];
        stage.offset = 0;
        const auto& readers = pipeline.maps[stage.map].readers;
        const auto first = std::find_if(readers.begin(), readers.end(),
                                        [index](const Reader& reader) { return reader.stage > index; });
        if (first == readers.end()) continue;
        const Stage& reader = stages[first->stage];
        const int last = reader.offset + reader.choice.step;
        if (last > reader.height) continue;
        const int needed = pipeline.rows_of(reader, first->input, reader.offset, last).last;
        stage.offset = round_up(needed, stage.op->block) * stage.op->block % stage.choice.step;
    }
}

class Setup {
public:
    Setup(const Program& program, const KernelSet& kernels, const Planning& planning, Costs& costs)
        : program_(program), planning_(planning), costs_(costs) {
        pipeline_.kernels = &kernels;
    }

    Pipeline make(Size size) {
        sizes_ = tensor_sizes(program_, size);
        pipeline_.output = sizes_[size_t(program_.output)];
        pipeline_.graph = make_graph(program_, idle_layers());
        const Graph& graph = pipeline_.graph;
        sizes_.resize(graph.channels.size(), Size{0, 0});
        for (const Op& op : graph.ops)
            if (size_t(op.output) >= program_.channels.size()) sizes_[size_t(op.output)] = sizes_[size_t(op.inputs[0])];
        make_maps();
        make_stages();
        choose_kernels();
        align_steps(pipeline_);
        return std::move(pipeline_);
    }

private:
    std::vector<bool> idle_layers() const;
    void make_maps();
    void make_stages();
    void set_vectors(const Op& op);
    bool halves() const;
    void choose_kernels();
    Choice choose(Stage& stage);
    Map& map(int tensor) { return pipeline_.maps[pipeline_.map_of[size_t(tensor)]]; }

    const Program& program_;
    const Planning& planning_;
    Costs& costs_;
    std::vector<Size> sizes_;  // of every tensor
    Pipeline pipeline_;
};

// Padding and cropping that change nothing at these sizes.
std::vector<bool> Setup::idle_layers() const {
    std::vector<bool> idle;
    for (const Layer& layer : program_.layers)
        idle.push_back(operator_of(layer.kind).view_if_same_size && sizes_[size_t(layer.inputs[0])] == sizes_[idle.size() + 1]);
    return idle;
}

void Setup::make_maps() {
    const Graph& graph = pipeline_.graph;
    const KernelSet& kernels = *pipeline_.kernels;
    auto& map_of = pipeline_.map_of;
    map_of.assign(sizes_.size(), Map::none);
    for (size_t t = 0; t < sizes_.size(); ++t) {
        const auto root = size_t(graph.places[t].root);
        if (map_of[root] == Map::none) {
            map_of[root] = pipeline_.maps.size();
            pipeline_.maps.emplace_back();
            Buffer& buffer = pipeline_.maps.back().buffer;
            buffer.channels = graph.channels[root];
            buffer.height = sizes_[root].height;
            buffer.width = sizes_[root].width;
            buffer.real_bytes = kernels.real_bytes;
            buffer.lanes = kernels.lanes;
            if (graph.layouts[root] == Layout::mask) buffer.pixel = 1;
            if (graph.layouts[root] == Layout::pixels) buffer.pixel = round_up(buffer.channels, kernels.lanes) * kernels.lanes;
        }
        map_of[t] = map_of[root];
    }
}

void Setup::make_stages() {
    auto& stages = pipeline_.stages;
    for (const Op& op : pipeline_.graph.ops) {
        Stage stage;
        stage.op = &op;
        stage.height = sizes_[size_t(op.output)].height;
        stage.map = pipeline_.map_of[size_t(op.output)];
        set_vectors(op);
        pipeline_.maps[stage.map].writers.push_back(stages.size());
        for (size_t i = 0; i < op.operand_count(); ++i)
            map(op.operand(i)).readers.push_back({stages.size(), i});
        stages.push_back(std::move(stage));
    }
}

// The number of vectors per line that lets `op` keep its lanes, unless another op has set it for the same buffer.
void Setup::set_vectors(const Op& op) {
    Buffer& buffer = map(op.output).buffer;
    if (buffer.vectors) return;
    const int least = round_up(sizes_[size_t(op.output)].width, pipeline_.kernels->lanes);
    buffer.vectors = least;
    if (op.kind == Kind::source && halves()) buffer.vectors += least % 2;
    std::vector<int> inputs;
    for (int input : op.inputs) inputs.push_back(pipeline_.buffer_of(input).vectors);
    buffer.vectors = std::max(buffer.vectors, operator_of(op.kind).vectors(op, inputs));
}

// Whether some map has half the image's size; its lines are cheap to make from lines with an even number of vectors.
bool Setup::halves() const {
    return std::any_of(program_.layers.begin(), program_.layers.end(),
                       [](const Layer& layer) { return layer.stride == 2; });
}

void Setup::choose_kernels() {
    for (Stage& stage : pipeline_.stages) {
        stage.choice = choose(stage);
        const Margin& margin = stage.choice.margin;
        if (stage.op->inputs.empty()) continue;
        Buffer& buffer = map(stage.op->inputs[0]).buffer;
        buffer.top = std::max(buffer.top, margin.top);
        buffer.bottom = std::max(buffer.bottom, margin.bottom);
        buffer.left = std::max(buffer.left, margin.left);
        buffer.right = std::max(buffer.right, margin.right);
    }
    costs_.save();
}

// Those that round little enough for the network, if one of them runs here.
std::vector<Choice> exact_enough(const Layer& layer, std::vector<Choice> choices) {
    const auto& names = layer.kernels;
    std::vector<Choice> exact;
    for (const Choice& choice : choices)
        if (std::find(names.begin(), names.end(), kernel_name(choice.kernel)) != names.end()) exact.push_back(choice);
    return exact.empty() ? choices : exact;
}

// The cheapest of those kernels, or the one that the plan pins if it runs here.
Choice Setup::choose(Stage& stage) {
    const Op& op = *stage.op;
    const Surroundings around = pipeline_.around(op);
    std::vector<Choice> choices = operator_of(op.kind).choices(op, around);
    const auto pin = op.layer ? planning_.pinned.find(op.layer->name) : planning_.pinned.end();
    if (pin != planning_.pinned.end()) {
        const auto wanted = std::find_if(choices.begin(), choices.end(),
                                         [&](const Choice& choice) { return choice.kernel == pin->second; });
        if (wanted != choices.end()) choices = {*wanted};
    } else if (op.layer) {
        choices = exact_enough(*op.layer, std::move(choices));
    }
    const Buffer& out = *around.output;
    const int vectors = out.pixel ? round_up(out.width, pipeline_.kernels->lanes) : out.vectors / op.block;
    const auto [best, cost] = costs_.cheapest(op, choices, around.channels, vectors);
    stage.cost = cost;
    return best;
}

}  // namespace

Pipeline make_pipeline(const Program& program, const KernelSet& kernels, const Planning& planning, Costs& costs, Size size) {
    return Setup(program, kernels, planning, costs).make(size);
}

bool lengthen_steps(Pipeline& pipeline) {
    const auto shares = [](const Stage& stage) { return stage.choice.kernel == Choice::Kernel::shared; };
    auto& stages = pipeline.stages;
    if (std::none_of(stages.begin(), stages.end(), shares)) return false;
    const auto streams = [](const Map& map) { return 2 * map.buffer.capacity <= map.buffer.height; };
    if (!std::all_of(pipeline.maps.begin(), pipeline.maps.end(), streams)) return false;
    for (Stage& stage : stages)
        if (shares(stage)) stage.choice.step *= 2;
    align_steps(pipeline);
    return true;
}

}  // namespace sparsr
