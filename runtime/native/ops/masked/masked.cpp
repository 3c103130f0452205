#include "ops/masked/masked.h"

namespace sparsr {

#ifndef SPARSR_HALF
Choice choose_masked(const Op& op) {
    Choice choice;
    choice.kernel = Choice::Kernel::masked;
    if (op.kind != Kind::masked_conv) return choice;
    choice.step = mask_side;
    // Tiles and one pixel around; the last ones may reach beyond the image on the right.
    choice.margin = {1, 1, 1, mask_side};
    choice.weight_bytes = parts_of(op)[size_t(op.part)].weights.bytes() / 9 * (mask_points * mask_points);  // for the 9 taps
    return choice;
}
#endif

namespace SPARSR_REAL {

namespace {

std::vector<Choice> choices(const Op& op, const Surroundings&) { return {choose_masked(op)}; }

// A tile is cleared where one beside it reads it.
RowRange conv_rows(const Op&, size_t input, const ResultRows& asked) {
    const int around = input == 0 ? 1 : mask_side;
    return {asked.first - around, asked.last + around};
}

// As if half of the pixels were important.
double conv_products(const Op& op) { return double(parts_of(op)[size_t(op.part)].weights.bytes()) / sizeof(float) / 2; }
double fuse_products(const Op& op) { return double(op.layer->as<Masked>().fuse.bytes()) / sizeof(float) / 2; }

std::unique_ptr<Work> no_work(const Op&, const Choice&, Operands, const KernelSet&) { return nullptr; }

#ifdef SPARSR_HALF
// Programs with masked blocks are refused in half precision.
constexpr auto make_mask = no_work, make_to_pixels = no_work, make_masked_conv = no_work, make_masked_fuse = no_work;
#endif

Operator part(decltype(Operator::work) work) {
    Operator row{"", 1, 1, nullptr, work};
    row.choices = choices;
    return row;
}

}  // namespace

// The layer itself becomes the operations below.
Operator masked_operator();
Operator masked_operator() { return {"MaskedBlock", 2, 2, read_masked, no_work, size_of_equals}; }

Operator mask_operator();
Operator mask_operator() { return part(make_mask); }

Operator to_pixels_operator();
Operator to_pixels_operator() { return part(make_to_pixels); }

Operator masked_conv_operator();
Operator masked_conv_operator() {
    Operator row = part(make_masked_conv);
    row.rows = conv_rows;
    row.products = conv_products;
    return row;
}

Operator masked_fuse_operator();
Operator masked_fuse_operator() {
    Operator row = part(make_masked_fuse);
    row.products = fuse_products;
    return row;
}

}  // namespace SPARSR_REAL

}  // namespace sparsr
