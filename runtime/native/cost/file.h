// Measured costs in the user's cache, a file per state of the library's sources.
#pragma once

#include <map>
#include <string>

namespace sparsr {

// Name of this machine's processor, as it calls itself.
const std::string& processor();
// Whether there is a place for the file: a home, and a library that knows its sources' state.
bool cost_file_exists();
// What is there by now; a damaged file counts as empty.
std::map<std::string, double> read_costs();
// Without success where the folder cannot be written.
void write_costs(std::map<std::string, double> costs);

}  // namespace sparsr
