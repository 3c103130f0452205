#include "run/scheduler.h"

#include <utility>

#include "compiler.h"
#include "error.h"

namespace sparsr {

namespace {

constexpr size_t none = size_t(-1);
// A step takes some ten microseconds, waking a thread up about as long: wait that long before going to sleep.
constexpr int patience = 2000;

void relax() {
#if defined(SPARSR_EXTENSIONS) && defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(SPARSR_EXTENSIONS) && defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

Scheduler::Scheduler(const std::vector<std::vector<size_t>>& affected, const std::vector<int>& home, Hooks hooks)
    : affected_(affected), home_(home), hooks_(std::move(hooks)), able_(affected.size()), running_(affected.size()) {
    for (size_t stage = 0; stage < able_.size(); ++stage) able_[stage] = hooks_.able(stage);
}

void Scheduler::work(int worker) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!over_) {
        const size_t stage = choose(worker);
        if (stage == none) {
            wait(lock);
            continue;
        }
        able_[stage] = false;
        running_[stage] = true;
        ++running_count_;
        hooks_.begin(stage);
        lock.unlock();
        std::exception_ptr error;
        try {
            hooks_.perform(stage, worker);
        } catch (...) {
            error = std::current_exception();
        }
        lock.lock();
        running_[stage] = false;
        --running_count_;
        if (error)
            fail(error);
        else
            finish(stage);
    }
}

void Scheduler::check() const {
    if (error_) std::rethrow_exception(error_);
}

// The last first: what is nearly done leaves the buffers.
size_t Scheduler::choose(int worker) const {
    size_t other = none;
    for (size_t stage = able_.size(); stage-- > 0;) {
        if (!able_[stage]) continue;
        if (home_[stage] == worker) return stage;
        if (other == none) other = stage;
    }
    return other;
}

void Scheduler::finish(size_t stage) {
    if (!hooks_.advance(stage)) over_ = true;
    int more = 0;
    for (size_t other : affected_[stage]) {
        if (able_[other] || running_[other] || !hooks_.able(other)) continue;
        able_[other] = true;
        ++more;
    }
    if (more > 1 || over_) {  // one it takes itself
        changes_.fetch_add(1, std::memory_order_relaxed);
        if (sleeping_) change_.notify_all();
    }
}

void Scheduler::wait(std::unique_lock<std::mutex>& lock) {
    if (running_count_ == 0) {
        fail(std::make_exception_ptr(Error("the layers wait for each other")));
        return;
    }
    const unsigned seen = changes_.load(std::memory_order_relaxed);
    lock.unlock();
    for (int i = 0; i < patience && changes_.load(std::memory_order_relaxed) == seen; ++i) relax();
    lock.lock();
    ++sleeping_;
    change_.wait(lock, [&] { return over_ || changes_.load(std::memory_order_relaxed) != seen; });
    --sleeping_;
}

void Scheduler::fail(std::exception_ptr error) {
    error_ = error;
    over_ = true;
    changes_.fetch_add(1, std::memory_order_relaxed);
    change_.notify_all();
}

}  // namespace sparsr
