#include "hosts/ort/session_threads.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace sparsr::ort {

namespace {

constexpr auto patience = std::chrono::milliseconds(5);  // a hundred times what waking a thread takes
constexpr unsigned most = 64;

}  // namespace

void parallel_run(Api api, const KernelContext* context, size_t count, const std::function<void(size_t)>& body) {
    const auto call = [](void* argument, size_t index) { (*static_cast<const std::function<void(size_t)>*>(argument))(index); };
    void* const argument = const_cast<void*>(static_cast<const void*>(&body));
    Status* const status = api(parallel_for, context, +call, count, size_t(0), argument);
    if (!status) return;
    api(release_status, status);
    for (size_t index = 0; index < count; ++index) body(index);
}

// Whoever comes waits for the others until the time is up: those who have come then are all there are.
int session_threads(Api api, const KernelContext* context) {
    const size_t cores = std::clamp(std::thread::hardware_concurrency(), 1u, most);
    const auto end = std::chrono::steady_clock::now() + patience;
    std::mutex mutex;
    std::condition_variable complete;
    std::vector<std::thread::id> seen;
    seen.reserve(cores);
    parallel_run(api, context, cores, [&](size_t) {
        std::unique_lock<std::mutex> lock(mutex);
        const auto self = std::this_thread::get_id();
        if (std::find(seen.begin(), seen.end(), self) == seen.end()) seen.push_back(self);
        complete.notify_all();
        complete.wait_until(lock, end, [&] { return seen.size() == cores; });
    });
    return int(seen.size());
}

}  // namespace sparsr::ort
