// A factor and an offset per channel.
#include "ops/lines.h"
#include "ops/make.h"

namespace sparsr::SPARSR_REAL {

namespace {

struct Affine : Options {
    std::vector<float> factor, offset;  // of every channel
};

int read(Layer& layer, const Entry& entry) {
    const int channels = entry.channels()[0];
    auto options = std::make_shared<Affine>();
    options->factor = entry.floats("factor", size_t(channels));
    options->offset = entry.floats("offset", size_t(channels));
    layer.options = std::move(options);
    return channels;
}

class AffineWork : public LineWork {
public:
    using LineWork::LineWork;

private:
    void compute(int c, int y, Real* out) override {
        const auto& options = op_.layer->as<Affine>();
        kernels_.affine(line(0, c, y), n_, options.factor[size_t(c)], options.offset[size_t(c)], out);
    }
};

}  // namespace

Operator affine_operator();
Operator affine_operator() {
    Operator row{"ChannelAffine", 1, 1, read, make_lines<AffineWork>};
    row.choices = lines_choice;
    row.in_place = first_in_place;
    return row;
}

}  // namespace sparsr::SPARSR_REAL
