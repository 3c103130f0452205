#include "run/describe.h"

#include "model/text.h"
#include "ops/operator.h"

namespace sparsr {

namespace {

std::string quoted(const std::string& text) {
    static const char digits[] = "0123456789abcdef";
    std::string result = "\"";
    for (char c : text) {
        const auto code = static_cast<unsigned char>(c);
        if (code < 0x20) {
            result += std::string("\\u00") + digits[code >> 4] + digits[code & 15];
            continue;
        }
        if (c == '"' || c == '\\') result += '\\';
        result += c;
    }
    return result + '"';
}

// Multiply-adds: of the weights that are not zero, of all, and those that the kernel computes.
void describe_conv(TextWriter& out, const Report& report) {
    const Layer& layer = *report.op->layer;
    const double pixels = double(report.size.height) * report.size.width;
    const double all = dense_weights(layer, report.inputs);
    out << ", \"kernel_size\": [" << layer.kernel_h << ", " << layer.kernel_w << "], \"groups\": " << layer.groups
        << ", \"weights\": " << layer.weights.size() << ", \"dense_weights\": " << all
        << ", \"macs\": " << double(layer.weights.size()) * pixels << ", \"dense_macs\": " << all * pixels
        << ", \"kernel_macs\": " << kernel_products(layer, report.choice.kernel, report.inputs, report.vectors) * pixels
        << ", \"cost\": " << report.cost.seconds * report.size.height
        << ", \"measured\": " << (report.cost.measured ? "true" : "false");
}

// The time for the image by how much of it is important; and without masks.
void describe_masked(TextWriter& out, const Report& report) {
    const double rows = report.size.height;
    out << ", \"cost\": {\"all\": " << report.cost.seconds * rows << ", \"none\": " << report.cost.none * rows
        << ", \"without_masks\": " << report.cost.dense * rows << "}, \"measured\": " << (report.cost.measured ? "true" : "false");
}

void describe(TextWriter& out, const Report& report) {
    const Layer* layer = report.op->layer;
    out << "{\"layer\": " << quoted(layer ? layer->name : "") << ", \"kind\": " << quoted(layer ? operator_of(layer->kind).name : "")
        << ", \"kernel\": " << quoted(kernel_name(report.choice.kernel)) << ", \"inputs\": " << report.inputs
        << ", \"outputs\": " << report.outputs << ", \"height\": " << report.size.height << ", \"width\": " << report.size.width
        << ", \"ring_rows\": " << report.ring_rows << ", \"ring_bytes\": " << report.ring_bytes
        << ", \"seconds\": " << report.seconds;
    if (layer && layer->kind == Kind::conv) describe_conv(out, report);
    if (report.op->kind == Kind::masked_conv || report.op->kind == Kind::masked_fuse) describe_masked(out, report);
    if (report.op->kind == Kind::mask) out << ", \"important\": " << report.important;
    out << "}";
}

}  // namespace

std::string describe(const Executor& executor) {
    TextWriter out;
    out << "{\"height\": " << executor.size().height << ", \"width\": " << executor.size().width
        << ", \"threads\": " << executor.threads() << ", \"instruction_set\": " << quoted(executor.kernels().name)
        << ", \"buffer_bytes\": " << executor.buffer_bytes() << ", \"operations\": [";
    const char* separator = "\n";
    for (const Report& report : executor.report()) {
        out << separator;
        describe(out, report);
        separator = ",\n";
    }
    out << "\n]}\n";
    return out.text();
}

}  // namespace sparsr
