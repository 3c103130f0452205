// All that the engine and its tools ask of the operating system. One file for each implements it: posix.cpp for Linux, Android
// and macOS, windows.cpp. Threads are those of C++.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sparsr::system {

// Pages of zeros; null if there are none. Large ones, if the system has them.
void* take_pages(size_t bytes);
void give_back_pages(void* pages, size_t bytes);
size_t page_bytes();
uint64_t memory_bytes();      // of the machine
int64_t cache_bytes();        // of its largest cache; 0 if the system does not say
double thread_seconds();      // processor time of the calling thread
double process_seconds();     // and of the process

// A file's bytes, in memory only where they are looked at; null if it cannot be read or is empty.
const void* map_file(const std::string& path, size_t& bytes);
void unmap_file(const void* file, size_t bytes);
void forget_file(const void* file, size_t bytes);  // gives back the memory of what was looked at
void make_folder(const std::string& path);
bool replace_file(const std::string& from, const std::string& to);
std::string cache_folder();   // the user's for what can be made again; empty if there is none
std::string processor();      // its name

int process_number();
bool pin(const std::vector<int>& cpus);                // the process to these CPUs; whether that worked
const void* library_of(const void* address);           // where the library begins that this lies in; null if in none
size_t heap_block_bytes(void* block);                  // of a block that malloc has given
bool has_half_precision();                             // of arm64: FEAT_FP16

}  // namespace sparsr::system
