// Windows, by mingw-w64.
#include <windows.h>

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "system/system.h"

namespace sparsr::system {

namespace {

SYSTEM_INFO machine() {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info;
}

std::wstring wide(const std::string& utf8) { return std::filesystem::u8path(utf8).wstring(); }

// Of user and kernel, in units of 100 ns.
double seconds(const FILETIME& user, const FILETIME& kernel) {
    const auto ticks = [](const FILETIME& time) { return double(time.dwHighDateTime) * 0x1p32 + double(time.dwLowDateTime); };
    return 1e-7 * (ticks(user) + ticks(kernel));
}

}  // namespace

void* take_pages(size_t bytes) { return VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE); }
void give_back_pages(void* pages, size_t) { VirtualFree(pages, 0, MEM_RELEASE); }
size_t page_bytes() { return machine().dwPageSize; }

uint64_t memory_bytes() {
    MEMORYSTATUSEX status{};
    status.dwLength = sizeof status;
    return GlobalMemoryStatusEx(&status) ? status.ullTotalPhys : 0;
}

int64_t cache_bytes() {
    DWORD bytes = 0;
    GetLogicalProcessorInformation(nullptr, &bytes);
    std::vector<SYSTEM_LOGICAL_PROCESSOR_INFORMATION> parts(bytes / sizeof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION));
    int64_t largest = 0;
    if (parts.empty() || !GetLogicalProcessorInformation(parts.data(), &bytes)) return largest;
    for (const auto& part : parts)
        if (part.Relationship == RelationCache) largest = std::max<int64_t>(largest, part.Cache.Size);
    return largest;
}

double thread_seconds() {
    FILETIME begin, end, kernel, user;
    GetThreadTimes(GetCurrentThread(), &begin, &end, &kernel, &user);
    return seconds(user, kernel);
}

double process_seconds() {
    FILETIME begin, end, kernel, user;
    GetProcessTimes(GetCurrentProcess(), &begin, &end, &kernel, &user);
    return seconds(user, kernel);
}

const void* map_file(const std::string& path, size_t& bytes) {
    const HANDLE file = CreateFileW(wide(path).c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, 0, nullptr);
    if (file == INVALID_HANDLE_VALUE) return nullptr;
    const void* found = nullptr;
    LARGE_INTEGER size;
    if (GetFileSizeEx(file, &size) && size.QuadPart > 0) {
        bytes = size_t(size.QuadPart);
        if (const HANDLE mapping = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr)) {
            found = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
            CloseHandle(mapping);
        }
    }
    CloseHandle(file);
    return found;
}

void unmap_file(const void* file, size_t) { UnmapViewOfFile(file); }
void forget_file(const void*, size_t) {}  // the system takes it back itself
void make_folder(const std::string& path) { CreateDirectoryW(wide(path).c_str(), nullptr); }
bool replace_file(const std::string& from, const std::string& to) {
    return MoveFileExW(wide(from).c_str(), wide(to).c_str(), MOVEFILE_REPLACE_EXISTING);
}

std::string cache_folder() {
    const wchar_t* cache = _wgetenv(L"LOCALAPPDATA");
    return cache && *cache ? std::filesystem::path(cache).generic_u8string() : "";
}

std::string processor() {
    const char* name = std::getenv("PROCESSOR_IDENTIFIER");
    return name && *name ? name : "processor";
}

int process_number() { return int(GetCurrentProcessId()); }

bool pin(const std::vector<int>& cpus) {
    DWORD_PTR mask = 0;
    for (const int cpu : cpus) mask |= DWORD_PTR(1) << cpu;
    return SetProcessAffinityMask(GetCurrentProcess(), mask);
}

const void* library_of(const void* address) {
    HMODULE module = nullptr;
    const DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    return GetModuleHandleExW(flags, static_cast<const wchar_t*>(address), &module) ? module : nullptr;
}

size_t heap_block_bytes(void* block) { return block ? _msize(block) : 0; }
bool has_half_precision() { return false; }

}  // namespace sparsr::system
