// What measurements ask of the machine: clocks, memory, files, pinning, fixed work.
#pragma once

#include <time.h>

#include <stdexcept>
#include <string>
#include <vector>

[[noreturn]] inline void fail(const std::string& message) { throw std::runtime_error(message); }

double seconds(clockid_t clock);
// A field of a file of Linux that lists sizes in kB; 0 where there is none.
unsigned long long bytes_of(const char* path, const char* field);
std::vector<char> read_file(const std::string& path);
// Of the whole process; no CPUs: leaves it as it is.
void pin(const std::vector<int>& cpus);
// Processor time of fixed work on one thread: some milliseconds of multiply-adds within the first cache.
double reference_seconds();
// A text as JSON, quotes included.
std::string quoted(const std::string& text);
