#include "tools/flags.h"

#include <algorithm>
#include <cstdlib>

#include "tools/device.h"

Flags::Flags(const std::vector<std::string>& arguments, const std::vector<std::string>& known) {
    for (const std::string& argument : arguments) {
        if (argument.rfind("--", 0) != 0) fail(argument + " is no flag: they are written --name=value");
        const size_t sign = argument.find('=');
        const std::string name = argument.substr(2, sign == std::string::npos ? sign : sign - 2);
        const auto named = [&](const std::string& flag) { return flag.substr(0, flag.find_first_of("= ")) == name; };
        if (std::none_of(known.begin(), known.end(), named)) fail("there is no flag --" + name + "; --help lists them");
        values_[name] = sign == std::string::npos ? "1" : argument.substr(sign + 1);
    }
}

std::string Flags::text(const std::string& name, const std::string& otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : found->second;
}

int Flags::number(const std::string& name, int otherwise, int least, int most) const {
    return has(name) ? whole_number("--" + name, text(name, ""), least, most) : otherwise;
}

double Flags::real(const std::string& name, double otherwise, double most) const {
    if (!has(name)) return otherwise;
    const std::string given = text(name, "");
    char* end = nullptr;
    const double value = std::strtod(given.c_str(), &end);
    if (given.empty() || *end || !(value >= 0 && value <= most)) fail("--" + name + " is no number of seconds: " + given);
    return value;
}

int whole_number(const std::string& what, const std::string& text, int least, int most) {
    char* end = nullptr;
    const long value = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end || value < least || value > most)
        fail(what + " is not a number from " + std::to_string(least) + " to " + std::to_string(most) + ": " + text);
    return int(value);
}
