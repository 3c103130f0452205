// Flags like --size=160x90, as benchmark_model takes them; names without a value are "1".
#pragma once

#include <map>
#include <string>
#include <vector>

class Flags {
public:
    // Throws for an argument that is no flag, or a flag that is not among `known` ("name=value  what it is").
    Flags(const std::vector<std::string>& arguments, const std::vector<std::string>& known);

    bool has(const std::string& name) const { return values_.count(name) != 0; }
    std::string text(const std::string& name, const std::string& otherwise) const;
    int number(const std::string& name, int otherwise, int least, int most) const;
    double real(const std::string& name, double otherwise, double most) const;

private:
    std::map<std::string, std::string> values_;
};

int whole_number(const std::string& what, const std::string& text, int least, int most);
