#include "run/planning.h"

#include <cstdlib>

#include "error.h"
#include "model/json.h"
#include "model/text.h"

namespace sparsr {

namespace {

constexpr size_t longest = 4 << 20;

std::string read_text(const std::string& name) {
    std::string text;
    require(read_file(name, longest, text), "the plan " + name + " cannot be read");
    return text;
}

Planning read_pins(const std::string& text) {
    Planning planning;
    const Json json = Json::parse(text);
    for (const Json& operation : json.at("operations").array("a plan's operations")) {
        const std::string& layer = operation.at("layer").string("a plan's layer");
        planning.pinned[layer] = find_kernel(operation.at("kernel").string("a plan's kernel"));
    }
    return planning;
}

}  // namespace

Planning read_planning(const char* text) {
    if (!text) text = std::getenv("SPARSR_PLAN");
    const std::string plan = text && *text ? text : "measure";
    if (plan == "measure" || plan == "estimate") return {plan == "measure", {}};
    return read_pins(plan[0] == '{' ? plan : read_text(plan));
}

}  // namespace sparsr
