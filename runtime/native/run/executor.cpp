#include "run/executor.h"

#include <algorithm>

#include "error.h"
#include "ops/operator.h"
#include "run/order.h"
#include "run/rehearsal.h"
#include "run/scheduler.h"
#include "run/setup.h"
#include "run/sharing.h"
#include "system/system.h"

namespace sparsr {

Executor::Executor(std::shared_ptr<const Program> program, const KernelSet& kernels, size_t max_bytes)
    : program_(std::move(program)), kernels_(kernels), planning_(read_planning(nullptr)),
      costs_(kernels, planning_.measure), workers_(std::make_unique<Workers>()), memory_(max_bytes) {
    for (const Layer& layer : program_->layers)
        require(layer.kind != Kind::masked || !kernels.half(),
                "the masked block " + layer.name + " does not run in half precision (fp16)");
}

Executor Executor::share() const {
    Executor twin(program_, kernels_, memory_.most());
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

Size Executor::output_size(Size input) const { return tensor_sizes(*program_, input)[size_t(program_->output)]; }

// ---- setting up for a size

void Executor::prepare(Size size) {
    if (size == size_) return;
    size_ = {0, 0};  // stays so if anything fails
    pipeline_ = Pipeline();
    pipeline_ = lay_out(size, costs_);
    require(map_bytes(pipeline_) <= memory_.most(),
            "the feature maps take more than the " + std::to_string(memory_.most()) + " bytes allowed");
    affected_ = affected(pipeline_);
    homes_ = homes(pipeline_, threads());
    memory_.allocate(pipeline_);
    make_works();
    size_ = size;
}

Pipeline Executor::lay_out(Size size, Costs& costs) const {
    Pipeline pipeline = make_pipeline(*program_, kernels_, planning_, costs, size);
    rehearse(pipeline, threads());
    if (lengthen_steps(pipeline)) rehearse(pipeline, threads());
    share_memory(pipeline);
    pool_rows(pipeline, threads());
    return pipeline;
}

size_t Executor::bytes_for(Size size) const {
    Costs costs(kernels_, planning_.measure);
    const Pipeline pipeline = lay_out(size, costs);
    size_t bytes = map_bytes(pipeline);
    std::vector<const Layer*> packed;  // by Winograd's kernel, the one that shares what is the same
    for (const Stage& stage : pipeline.stages) {
        if (stage.choice.kernel == Choice::Kernel::winograd) {
            const auto same = [&](const Layer* layer) { return same_weights(*layer, *stage.op->layer); };
            if (std::any_of(packed.begin(), packed.end(), same)) continue;
            packed.push_back(stage.op->layer);
        }
        bytes += stage.choice.weight_bytes;
    }
    return bytes;
}

void Executor::follow(Size size) {
    Costs costs(kernels_, planning_.measure);
    const Pipeline whole = make_pipeline(*program_, kernels_, planning_, costs, size);
    Planning planning = planning_;
    for (const Stage& stage : whole.stages)
        if (stage.op->layer) planning.pinned[stage.op->layer->name] = stage.choice.kernel;
    set_planning(std::move(planning));
}

void Executor::make_works() {
    scratch_floats_ = 1;
    for (Stage& stage : pipeline_.stages) {
        const Op& op = *stage.op;
        if (op.kind == Kind::source) continue;
        Operands operands;
        for (int input : op.inputs) operands.inputs.push_back(pipeline_.view(input));
        operands.output = pipeline_.view(op.output);
        if (op.residual >= 0) operands.residual = pipeline_.view(op.residual);
        operands.packing = packing_.get();
        stage.work = operator_of(op.kind, kernels_).work(op, stage.choice, std::move(operands), kernels_);
        scratch_floats_ = std::max(scratch_floats_, stage.work->scratch());
    }
    const size_t page = system::page_bytes() / sizeof(float);
    scratch_floats_ = (scratch_floats_ + page - 1) / page * page;
    const size_t scratch_bytes = scratch_floats_ * size_t(threads()) * sizeof(float);
    if (scratch_.bytes() < scratch_bytes) scratch_ = Mapping(scratch_bytes);
}

// ---- running

bool Executor::run(const Image& input, Size size, const Image& output, const RowReady& ready) {
    prepare(size);
    pipeline_.restart();
    for (Stage& stage : pipeline_.stages) stage.seconds = 0;
    const size_t unit = output.type == Image::Type::bytes ? 1 : sizeof(float);
    std::vector<float> own;
    if (!output.data) {
        const ptrdiff_t last = (pipeline_.output.width - 1) * output.column +
                               (program_->channels[size_t(program_->output)] - 1) * output.channel;
        require(output.column >= 0 && output.channel >= 0, "rows of our own need strides that are not negative");
        own.resize(size_t(last) + 1);
    }
    const View result = pipeline_.view(pipeline_.graph.output);
    bool wanted = true;
    const auto hand_over = [&] {
        const int row = pipeline_.handed_over;
        void* first = output.data ? static_cast<char*>(output.data) + ptrdiff_t(unit) * output.row * row
                                  : static_cast<void*>(own.data());
        reals_of(kernels_).write_row(result, row, program_->value_range, {output.type, first, 0, output.column, output.channel},
                                     kernels_);
        wanted = !ready || ready(row, first);
    };
    const size_t last = pipeline_.last_stage();
    Scheduler scheduler(affected_, homes_, {
        [this](size_t stage) { return pipeline_.able(stage); },
        [&](size_t stage, int worker) {
            if (stage == last) return hand_over();
            const double begin = profiling_ ? system::thread_seconds() : 0;
            perform(pipeline_.stages[stage], input, scratch_.data() + scratch_floats_ * size_t(worker));
            if (profiling_) pipeline_.stages[stage].seconds += system::thread_seconds() - begin;
        },
        [&](size_t stage) {
            pipeline_.advance(stage);
            give_back_rows(pipeline_, stage);
            return stage != last || (pipeline_.handed_over < pipeline_.output.height && wanted);
        },
        [this](size_t stage) { take_rows(pipeline_, stage); }});
    workers_->run([&scheduler](int worker) { scheduler.work(worker); });
    scheduler.check();
    return wanted;
}

void Executor::perform(Stage& stage, const Image& input, float* scratch) {
    const Reals& reals = reals_of(kernels_);
    const int first = stage.done, last = pipeline_.step_end(stage);
    const View out = pipeline_.view(stage.op->output);
    for (int y = -out.buffer->top; first == 0 && y < 0; ++y) out.clear(y);
    if (stage.work)
        stage.work->run(first, last, scratch);
    else
        for (int y = first; y < last; ++y) reals.read_row(input, program_->value_range, out, y);
    for (int y = first; y < last; ++y) reals.finish_row(out, y, kernels_);
    if (last < stage.height) return;
    for (int y = last; y < last + out.buffer->bottom; ++y) out.clear(y);
}

// ---- telling

std::vector<Report> Executor::report() const {
    std::vector<Report> reports;
    for (const Stage& stage : pipeline_.stages) {
        const Op& op = *stage.op;
        if (op.kind == Kind::source) continue;
        const Buffer& out = pipeline_.maps[stage.map].buffer;
        const int outputs = pipeline_.graph.channels[size_t(op.output)] * op.block * op.block;
        reports.push_back({&op, stage.choice, stage.cost, pipeline_.graph.channels[size_t(op.inputs[0])], outputs,
                           {out.height / op.block, out.width / op.block}, out.vectors / op.block, out.capacity,
                           out.bytes(), stage.seconds, stage.work->important_pixels()});
    }
    return reports;
}

}  // namespace sparsr
