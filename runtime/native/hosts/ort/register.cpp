// What ONNX Runtime looks for in a library of custom operators.

#include "c_api.h"
#include "hosts/ort/stream.h"
#include "hosts/ort/values.h"

namespace sparsr::ort {

namespace {

struct StreamOp : CustomOp {
    Api api;

    explicit StreamOp(Api used) : CustomOp(), api(used) {
        version = api_version;
        name = [](const CustomOp*) { return "Stream"; };
        provider = [](const CustomOp*) -> const char* { return nullptr; };  // the CPU's
        input_type = [](const CustomOp*, size_t index) { return index ? undefined : float32; };
        input_type_count = [](const CustomOp*) -> size_t { return 2; };
        output_type = [](const CustomOp*, size_t) { return float32; };
        output_type_count = [](const CustomOp*) -> size_t { return 1; };
        input_presence = [](const CustomOp*, size_t index) { return index ? variadic : required; };
        output_presence = [](const CustomOp*, size_t) { return required; };
        input_memory = [](const CustomOp*, size_t) { return default_memory; };
        variadic_input_minimum = [](const CustomOp*) { return 0; };
        variadic_input_same_type = [](const CustomOp*) { return 0; };
        create_kernel = create_stream;
        compute = run_stream;
        destroy = destroy_stream;
        infer_shape = [](const CustomOp* op, ShapeContext* context) {
            return infer_stream(static_cast<const StreamOp*>(op)->api, context);
        };
        first_version = [](const CustomOp*) { return 1; };
        last_version = [](const CustomOp*) { return 1; };
    }
};

}  // namespace

}  // namespace sparsr::ort

using namespace sparsr::ort;

extern "C" SPARSR_API Status* RegisterCustomOps(SessionOptions* options, const ApiBase* base) {
    const Api oldest(base->get_api(1));
    const Table table = base->get_api(api_version);
    if (!table) return oldest(create_status, fail, "libsparsr needs ONNX Runtime 1.17 or newer");
    const Api api(table);
    return guarded(api, [&] {
        OpDomain* domain = nullptr;
        check(api(create_domain, "sparsr", &domain));
        // Both stay for good: nothing tells when the last session that uses them ends.
        check(api(domain_add, domain, static_cast<const CustomOp*>(new StreamOp(api))));
        check(api(add_domain, options, domain));
    });
}
