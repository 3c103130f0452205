// Makes TensorFlow Lite's Python packages find our operator.
//
// Their interpreters look custom operators up in an OpResolver, and let registerers see it before; but the function that
// adds to it is hidden in LiteRT. So the resolver gets a virtual table of ours, the same but for the look-up by name.
//
// The table's first two functions are, in all versions since 2018 (op_resolver.h):
//     virtual const TfLiteRegistration* FindOp(BuiltinOperator op, int version) const = 0;
//     virtual const TfLiteRegistration* FindOp(const char* op, int version) const = 0;


#include <cstddef>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "c_api.h"
#include "error.h"
#include "hosts/tflite/stream_op.h"
#include "system/system.h"

namespace sparsr::tflite {

namespace {

using Function = void (*)();
using FindBuiltin = const Registration* (*)(const void* resolver, int code, int version);
using FindCustom = const Registration* (*)(const void* resolver, const char* name, int version);

constexpr int before = 2, slots = 12;  // pointers before the table (offset, type), and more functions than it has

struct Table {
    FindCustom find_custom;  // the resolver's own
    const Function* original;
    Table* next;
    const void* prefix[before];
    Function functions[slots];
};

const Function* functions_of(const void* resolver) { return *static_cast<const Function* const*>(resolver); }

const Table& table_of(const void* resolver) {
    const auto* const functions = reinterpret_cast<const char*>(functions_of(resolver));
    return *reinterpret_cast<const Table*>(functions - offsetof(Table, functions));
}

const Registration* find(const void* resolver, const char* name, int version) {
    const Registration* const ours = stream_registration();
    if (name && std::strcmp(name, ours->custom_name) == 0) return version == ours->version ? ours : nullptr;
    return table_of(resolver).find_custom(resolver, name, version);
}

// Nothing is called before it looks like the table we know, and nothing is changed before it answers like it.
void check(const void* resolver) {
    constexpr const char* unknown = "this version's operator resolver is not known";
    const Function* const functions = functions_of(resolver);
    const void* const library = system::library_of(functions);
    require(library && library == system::library_of(reinterpret_cast<const void*>(functions[0])) &&
                library == system::library_of(reinterpret_cast<const void*>(functions[1])),
            unknown);
    const Registration* const conv = reinterpret_cast<FindBuiltin>(functions[0])(resolver, conv_code, 1);
    require(conv && conv->builtin_code == conv_code && conv->prepare && conv->invoke, unknown);
    require(!reinterpret_cast<FindCustom>(functions[1])(resolver, "SparsrNoSuchOperator", 1), unknown);
}

// Our table in place of `original`. It stays for good: nothing tells when the last resolver that uses it goes.
const Table& replaced(const Function* original) {
    static std::mutex mutex;
    static Table* first = nullptr;
    const std::lock_guard<std::mutex> lock(mutex);
    for (const Table* table = first; table; table = table->next)
        if (table->original == original) return *table;
    auto* const table = new Table;
    std::memcpy(table->prefix, original - before, sizeof table->prefix);
    std::memcpy(table->functions, original, sizeof table->functions);
    table->original = original;
    table->find_custom = reinterpret_cast<FindCustom>(original[1]);
    table->functions[1] = reinterpret_cast<Function>(find);
    table->next = first;
    first = table;
    return *table;
}

void add_to(void* resolver) {
    require(resolver && functions_of(resolver), "there is no resolver");
    if (reinterpret_cast<FindCustom>(functions_of(resolver)[1]) == find) return;
    check(resolver);
    *static_cast<const Function**>(resolver) = replaced(functions_of(resolver)).functions;
}

}  // namespace

}  // namespace sparsr::tflite

using namespace sparsr::tflite;

extern "C" {

const void* sparsr_tflite_registration(void) { return stream_registration(); }

int sparsr_tflite_register(void* resolver, char* error, size_t error_size) {
    try {
        add_to(resolver);
        return 1;
    } catch (const std::exception& exception) {
        if (error && error_size) std::snprintf(error, error_size, "%s", exception.what());
        return 0;
    }
}

}  // extern "C"
