#include "run/executor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "error.h"
#include "cost/measure.h"
#include "ops/operator.h"
#include "run/schedule.h"

namespace sparsr {

namespace {

int round_up(int value, int divisor) { return (value + divisor - 1) / divisor; }

// Stands in for as many threads where nothing is computed.
class IdleWorkers : public Workers {
public:
    explicit IdleWorkers(int count) : count_(count) {}
    int count() const override { return count_; }

private:
    int count_;
};

}  // namespace

Executor::Executor(std::shared_ptr<const Program> program, const KernelSet& kernels, size_t max_bytes)
    : shared_(std::move(program)), program_(*shared_), kernels_(kernels), reals_(reals_of(kernels)), max_bytes_(max_bytes),
      planning_(read_planning(nullptr)), costs_(kernels, planning_.measure), workers_(std::make_unique<Workers>()) {
    for (const Layer& layer : program_.layers)
        require(layer.kind != Kind::masked || !kernels.half(),
                "the masked block " + layer.name + " does not run in half precision (fp16)");
}

Executor Executor::share() const {
    Executor twin(shared_, kernels_, max_bytes_);
    twin.packing_ = packing_;
    twin.set_planning(planning_);
    return twin;
}

void Executor::set_workers(std::unique_ptr<Workers> workers) {
    workers_ = std::move(workers);
    size_ = {0, 0};  // buffers depend on how many they are
}

void Executor::set_planning(Planning planning) {
    planning_ = std::move(planning);
    costs_ = Costs(kernels_, planning_.measure);
    size_ = {0, 0};
}

Size Executor::output_size(Size input) const { return tensor_sizes(program_, input)[size_t(program_.output)]; }

// ---- setting up for a size

void Executor::prepare(Size size) {
    if (size == size_) return;
    lay_out(size);
    require(map_bytes() <= max_bytes_,
            "the feature maps take more than the " + std::to_string(max_bytes_) + " bytes allowed");
    find_affected();
    find_homes();
    prepare_work();
    size_ = size;
}

Executor Executor::sketch(Size size) const {
    Executor twin = share();
    twin.set_workers(std::make_unique<IdleWorkers>(threads()));
    twin.lay_out(size);
    return twin;
}

size_t Executor::bytes_for(Size size) const { return sketch(size).map_bytes(); }

void Executor::follow(Size size) {
    const Executor twin = sketch(size);
    Planning planning = planning_;
    for (const Task& task : twin.tasks_)
        if (task.op->layer) planning.pinned[task.op->layer->name] = task.choice.kernel;
    set_planning(std::move(planning));
}

void Executor::lay_out(Size size) {
    size_ = {0, 0};  // stays so if anything fails
    tasks_.clear();
    for (Map& map : maps_) spares_.add(std::move(map.buffer.memory));
    maps_.clear();
    std::vector<Size> sizes = tensor_sizes(program_, size);
    output_size_ = sizes[size_t(program_.output)];
    graph_ = make_graph(program_, idle_layers(sizes));
    sizes.resize(graph_.channels.size(), Size{0, 0});
    for (const Op& op : graph_.ops)
        if (size_t(op.output) >= program_.channels.size()) sizes[size_t(op.output)] = sizes[size_t(op.inputs[0])];
    make_maps(sizes);
    make_tasks(sizes);
    costs_.save();
    set_phases();
    rehearse();
    find_affected();
    share_memory();
}

// Padding and cropping that change nothing at these sizes.
std::vector<bool> Executor::idle_layers(const std::vector<Size>& sizes) const {
    std::vector<bool> idle;
    for (const Layer& layer : program_.layers)
        idle.push_back(operator_of(layer.kind).view_if_same_size && sizes[size_t(layer.inputs[0])] == sizes[idle.size() + 1]);
    return idle;
}

void Executor::make_maps(const std::vector<Size>& sizes) {
    map_of_.assign(sizes.size(), size_t(-1));
    for (size_t t = 0; t < sizes.size(); ++t) {
        const auto root = size_t(graph_.places[t].root);
        if (map_of_[root] == size_t(-1)) {
            map_of_[root] = maps_.size();
            maps_.emplace_back();
            Buffer& buffer = maps_.back().buffer;
            buffer.channels = graph_.channels[root];
            buffer.height = sizes[root].height;
            buffer.width = sizes[root].width;
            buffer.real_bytes = kernels_.real_bytes;
            buffer.lanes = kernels_.lanes;
            if (graph_.layouts[root] == Layout::mask) buffer.pixel = 1;
            if (graph_.layouts[root] == Layout::pixels)
                buffer.pixel = round_up(buffer.channels, kernels_.lanes) * kernels_.lanes;
        }
        map_of_[t] = map_of_[root];
    }
}

void Executor::make_tasks(const std::vector<Size>& sizes) {
    for (const Op& op : graph_.ops) {
        Task task;
        task.op = &op;
        task.height = sizes[size_t(op.output)].height;
        task.buffer = map_of_[size_t(op.output)];
        set_vectors(op, sizes);
        maps_[task.buffer].writers.push_back(tasks_.size());
        for (size_t i = 0; i < operand_count(op); ++i)
            maps_[map_of_[size_t(operand(op, i))]].readers.push_back({tasks_.size(), i});
        tasks_.push_back(std::move(task));
    }
    for (Task& task : tasks_) {
        task.choice = choose(task);
        const Margin& margin = task.choice.margin;
        if (task.op->inputs.empty()) continue;
        Buffer& buffer = maps_[map_of_[size_t(task.op->inputs[0])]].buffer;
        buffer.top = std::max(buffer.top, margin.top);
        buffer.bottom = std::max(buffer.bottom, margin.bottom);
        buffer.left = std::max(buffer.left, margin.left);
        buffer.right = std::max(buffer.right, margin.right);
    }
}

// The number of vectors per line that lets `op` keep its lanes, unless another op has set it for the same buffer.
void Executor::set_vectors(const Op& op, const std::vector<Size>& sizes) {
    Buffer& buffer = maps_[map_of_[size_t(op.output)]].buffer;
    if (buffer.vectors) return;
    const int least = round_up(sizes[size_t(op.output)].width, kernels_.lanes);
    buffer.vectors = least;
    if (op.kind == Kind::source && halves()) buffer.vectors += least % 2;
    std::vector<int> inputs;
    for (int input : op.inputs) inputs.push_back(buffer_of(input).vectors);
    buffer.vectors = std::max(buffer.vectors, operator_of(op.kind).vectors(op, inputs));
}

// What is around an operation.
Surroundings Executor::around(const Op& op) const {
    Surroundings result{kernels_, {}, &buffer_of(op.output), op.residual < 0 ? nullptr : &buffer_of(op.residual), 0};
    for (int input : op.inputs) result.inputs.push_back(&buffer_of(input));
    if (!op.inputs.empty()) result.channels = graph_.channels[size_t(op.inputs[0])];
    return result;
}

// The cheapest kernel, or the one that the plan pins if it runs here.
Choice Executor::choose(Task& task) {
    const Op& op = *task.op;
    std::vector<Choice> choices = operator_of(op.kind).choices(op, around(op));
    const auto pin = op.layer ? planning_.pinned.find(op.layer->name) : planning_.pinned.end();
    if (pin != planning_.pinned.end()) {
        const auto wanted = std::find_if(choices.begin(), choices.end(),
                                         [&](const Choice& choice) { return choice.kernel == pin->second; });
        if (wanted != choices.end()) choices = {*wanted};
    }
    const Buffer& out = buffer_of(op.output);
    const int vectors = out.pixel ? round_up(out.width, kernels_.lanes) : out.vectors / op.block;
    const auto [best, cost] = costs_.cheapest(op, choices, around(op).channels, vectors);
    task.cost = cost;
    return best;
}

// Lets every task's steps end where the first reader's step needs its last row: then neither waits for rows that nobody
// needs yet, and the buffers stay small.
void Executor::set_phases() {
    for (size_t index = tasks_.size(); index-- > 0;) {
        Task& task = tasks_[index];
        const auto& readers = maps_[task.buffer].readers;
        const auto first = std::find_if(readers.begin(), readers.end(),
                                        [index](const Reader& reader) { return reader.task > index; });
        if (first == readers.end()) continue;
        const Task& reader = tasks_[first->task];
        const int last = reader.phase + reader.choice.step;
        if (last > reader.height) continue;
        const int needed = rows_of(reader, first->input, reader.phase, last).last;
        task.phase = round_up(needed, task.op->block) * task.op->block % task.choice.step;
    }
}

int Executor::step_end(const Task& task) const {
    const int step = task.choice.step;
    return std::min(task.height, task.done + step - (task.done + step - task.phase) % step);
}

// The end of the input's rows that the next step reads.
int Executor::reach(const Task& task, size_t input) const { return rows_of(task, input, task.done, step_end(task)).last; }

// How many rows every buffer must hold: the whole run without its arithmetic, every row computed only when asked for.
// A run may then take any order that these capacities allow.
void Executor::rehearse() {
    for (Task& task : tasks_) task.done = 0;
    for (sink_ = 0; sink_ < output_size_.height; ++sink_) demand(graph_.output, sink_ + 1);
    for (Map& map : maps_) {
        Buffer& buffer = map.buffer;
        const int whole = buffer.whole();
        const int high = std::max(map.high, 1) + (threads() > 1 ? slack(map) : 0);
        const bool ring = Mapping::can_mirror() && high < buffer.height;
        buffer.capacity = ring ? std::min(high, whole) : whole;
        if (buffer.vectors == 0) buffer.vectors = round_up(buffer.width, buffer.lanes);
    }
}

void Executor::demand(int tensor, int end) {
    for (int producer : graph_.producers[size_t(tensor)]) {
        Task& task = tasks_[size_t(producer)];
        while (task.done < std::clamp(end, 1, task.height)) rehearse_step(task);
    }
}

void Executor::rehearse_step(Task& task) {
    const int first = task.done;
    for (size_t i = 0; i < operand_count(*task.op); ++i) demand(operand(*task.op, i), reach(task, i));
    task.done = step_end(task);
    Map& map = maps_[task.buffer];
    int high = 0;
    for (size_t writer : map.writers) {
        const Task& other = tasks_[writer];
        high = std::max(high, other.done < other.height ? other.done : other.height + map.buffer.bottom);
    }
    map.high = std::max(map.high, high - std::min(lowest_needed(map), first));
    for (const Reader& reader : map.readers) rehearse_early(tasks_[reader.task]);
}

// The steps of an early operation whose inputs are there already.
void Executor::rehearse_early(Task& task) {
    const auto ready = [&] {
        for (size_t i = 0; i < operand_count(*task.op); ++i)
            if (!has_rows(operand(*task.op, i), reach(task, i))) return false;
        return true;
    };
    while (task.op->layer && task.op->layer->early && task.done < task.height && ready()) rehearse_step(task);
}

// Rows that let the writers go on while the readers still read: a step of the larger kind.
int Executor::slack(const Map& map) const {
    int rows = 1;
    for (size_t writer : map.writers) rows = std::max(rows, tasks_[writer].choice.step);
    for (const Reader& reader : map.readers) {
        const Task& task = tasks_[reader.task];
        const int step = task.choice.step;
        if (2 * step > task.height) continue;
        rows = std::max(rows, rows_of(task, reader.input, step, 2 * step).first - rows_of(task, reader.input, 0, step).first);
    }
    return rows;
}

// The first row that some reader, or a writer that has not come so far, still needs. What `in_place_of` reads in the place
// it writes does not count.
int Executor::lowest_needed(const Map& map, const Task* in_place_of) const {
    int low = map.buffer.height;
    for (size_t writer : map.writers)
        if (tasks_[writer].done < tasks_[writer].height) low = std::min(low, tasks_[writer].done);
    for (const Reader& reader : map.readers) {
        const Task& task = tasks_[reader.task];
        if (task.done >= task.height || (&task == in_place_of && in_place(task, reader.input))) continue;
        low = std::min(low, std::max(rows_of(task, reader.input, task.done, step_end(task)).first, -map.buffer.top));
    }
    return &map == &maps_[map_of_[size_t(graph_.output)]] ? std::min(low, sink_) : low;
}

void Executor::find_affected() {
    const size_t sink = tasks_.size();
    affected_.assign(sink + 1, {});
    const auto add = [this](size_t stage, size_t other) {
        auto& list = affected_[stage];
        if (std::find(list.begin(), list.end(), other) == list.end()) list.push_back(other);
    };
    const auto add_before = [&](const Map& map, size_t writer) {
        if (map.before == none) return;
        const Map& before = maps_[map.before];
        for (size_t other : before.writers) add(other, writer);
        for (const Reader& reader : before.readers) add(reader.task, writer);
        if (map.before == map_of_[size_t(graph_.output)]) add(sink, writer);
    };
    for (const Map& map : maps_)
        for (size_t writer : map.writers) {
            add_before(map, writer);
            for (size_t other : map.writers) add(writer, other);
            for (const Reader& reader : map.readers) {
                add(writer, reader.task);
                add(reader.task, writer);
                add(reader.task, reader.task);
            }
        }
    for (size_t writer : maps_[map_of_[size_t(graph_.output)]].writers) {
        add(writer, sink);
        add(sink, writer);
    }
    add(sink, sink);
}

// Consecutive operations of about the same work for every worker.
void Executor::find_homes() {
    std::vector<double> work;
    for (const Task& task : tasks_) {
        const Op& op = *task.op;
        const Buffer& out = buffer_of(op.output);
        const double pixels = double(out.height) * out.width / (op.block * op.block);
        work.push_back(pixels * (graph_.channels[size_t(op.output)] + operator_of(op.kind).products(op)));
    }
    work.push_back(double(output_size_.height) * output_size_.width);
    const double all = std::accumulate(work.begin(), work.end(), 0.0);
    home_.clear();
    double before = 0;
    for (double own : work) {
        home_.push_back(int((before + own / 2) / all * threads()));
        before += own;
    }
}

void Executor::prepare_work() {
    allocate_maps();
    scratch_floats_ = 1;
    for (Task& task : tasks_) {
        const Op& op = *task.op;
        if (op.kind == Kind::source) continue;
        Operands operands;
        for (int input : op.inputs) operands.inputs.push_back(view(input));
        operands.output = view(op.output);
        if (op.residual >= 0) operands.residual = view(op.residual);
        operands.packing = packing_.get();
        task.work = operator_of(op.kind, kernels_).work(op, task.choice, std::move(operands), kernels_);
        scratch_floats_ = std::max(scratch_floats_, task.work->scratch());
    }
    const size_t page = Mapping::page() / sizeof(float);
    scratch_floats_ = (scratch_floats_ + page - 1) / page * page;
    const size_t scratch_bytes = scratch_floats_ * size_t(threads()) * sizeof(float);
    if (scratch_.bytes() < scratch_bytes) scratch_ = Mapping(scratch_bytes, false);
}

void Executor::restart() {
    for (Task& task : tasks_) {
        task.done = 0;
        task.seconds = 0;
    }
    sink_ = 0;
}

// ---- running

bool Executor::run(const Image& input, Size size, const Image& output, const RowReady& ready) {
    prepare(size);
    restart();
    input_ = input;
    const size_t unit = output.type == Image::Type::bytes ? 1 : sizeof(float);
    std::vector<float> own;
    if (!output.data) {
        const ptrdiff_t last = (output_size_.width - 1) * output.column +
                               (program_.channels[size_t(program_.output)] - 1) * output.channel;
        require(output.column >= 0 && output.channel >= 0, "rows of our own need strides that are not negative");
        own.resize(size_t(last) + 1);
    }
    const View result = view(graph_.output);
    bool wanted = true;
    const auto hand_over = [&] {
        void* first = output.data ? static_cast<char*>(output.data) + ptrdiff_t(unit) * output.row * sink_
                                  : static_cast<void*>(own.data());
        reals_.write_row(result, sink_, program_.value_range, {output.type, first, 0, output.column, output.channel},
                         kernels_);
        wanted = !ready || ready(sink_, first);
    };
    const size_t sink = tasks_.size();
    Pipeline pipeline(affected_, home_, {
        [this](size_t stage) { return able(stage); },
        [&](size_t stage, int worker) {
            if (stage == sink) return hand_over();
            Task& task = tasks_[stage];
            const double begin = profiling_ ? thread_seconds() : 0;
            perform(task, scratch_.data() + scratch_floats_ * size_t(worker));
            if (profiling_) task.seconds += thread_seconds() - begin;
        },
        [&](size_t stage) {
            if (stage == sink) return ++sink_ < output_size_.height && wanted;
            tasks_[stage].done = step_end(tasks_[stage]);
            return true;
        }});
    workers_->run([&pipeline](int worker) { pipeline.work(worker); });
    pipeline.check();
    return wanted;
}

// Whether the inputs of a task's next step are there, and room for its output.
bool Executor::able(size_t stage) const {
    if (stage == tasks_.size()) return sink_ < output_size_.height && has_rows(graph_.output, sink_ + 1);
    const Task& task = tasks_[stage];
    if (task.done >= task.height) return false;
    const int last = step_end(task);
    for (size_t i = 0; i < operand_count(*task.op); ++i)
        if (!has_rows(operand(*task.op, i), reach(task, i))) return false;
    const Map& map = maps_[task.buffer];
    if (map.before != none && !is_read(map.before, task)) return false;
    const int end = last < task.height ? last : last + map.buffer.bottom;
    return end - std::min(lowest_needed(map), task.done) <= map.buffer.capacity;
}

bool Executor::has_rows(int tensor, int end) const {
    for (int producer : graph_.producers[size_t(tensor)]) {
        const Task& task = tasks_[size_t(producer)];
        if (task.done < std::clamp(end, 1, task.height)) return false;  // above its first row it clears what is read
    }
    return true;
}

void Executor::perform(Task& task, float* scratch) {
    const int first = task.done, last = step_end(task);
    const View out = view(task.op->output);
    for (int y = -out.buffer->top; first == 0 && y < 0; ++y) out.clear(y);
    if (task.work)
        task.work->run(first, last, scratch);
    else
        for (int y = first; y < last; ++y) reals_.read_row(input_, program_.value_range, out, y);
    for (int y = first; y < last; ++y) reals_.finish_row(out, y, kernels_);
    if (last < task.height) return;
    for (int y = last; y < last + out.buffer->bottom; ++y) out.clear(y);
}

// ---- small things

size_t Executor::operand_count(const Op& op) const { return op.inputs.size() + (op.residual >= 0); }

int Executor::operand(const Op& op, size_t input) const {
    return input < op.inputs.size() ? op.inputs[input] : op.residual;
}

const Buffer& Executor::buffer_of(int tensor) const { return maps_[map_of_[size_t(tensor)]].buffer; }

View Executor::view(int tensor) const {
    return {&buffer_of(tensor), graph_.places[size_t(tensor)].first, graph_.channels[size_t(tensor)]};
}

RowRange Executor::rows_of(const Task& task, size_t input, int first, int last) const {
    return input_rows(*task.op, input, buffer_of(operand(*task.op, input)).height, task.height, first, last);
}

// Whether some map has half the image's size; its lines are cheap to make from lines with an even number of vectors.
bool Executor::halves() const {
    return std::any_of(program_.layers.begin(), program_.layers.end(),
                       [](const Layer& layer) { return layer.stride == 2; });
}

std::vector<Report> Executor::report() const {
    std::vector<Report> reports;
    for (const Task& task : tasks_) {
        const Op& op = *task.op;
        if (op.kind == Kind::source) continue;
        const Buffer& out = maps_[task.buffer].buffer;
        const int outputs = graph_.channels[size_t(op.output)] * op.block * op.block;
        reports.push_back({&op, task.choice, task.cost, graph_.channels[size_t(op.inputs[0])], outputs,
                           {out.height / op.block, out.width / op.block}, out.vectors / op.block, out.capacity,
                           out.bytes(), task.seconds, task.work->important_pixels()});
    }
    return reports;
}

}  // namespace sparsr
