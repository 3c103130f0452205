#include "run/workers.h"

namespace sparsr {

ThreadPool::ThreadPool(int count) {
    try {
        for (int worker = 1; worker < count; ++worker) threads_.emplace_back(&ThreadPool::serve, this, worker);
    } catch (...) {
        stop();
        throw;
    }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
    }
    begin_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run(const std::function<void(int)>& body) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        body_ = &body;
        busy_ = int(threads_.size());
        ++round_;
    }
    begin_.notify_all();
    body(0);
    std::unique_lock<std::mutex> lock(mutex_);
    end_.wait(lock, [this] { return busy_ == 0; });
}

void ThreadPool::serve(int worker) {
    std::unique_lock<std::mutex> lock(mutex_);
    for (unsigned seen = 0;;) {
        begin_.wait(lock, [&] { return stopping_ || round_ != seen; });
        if (stopping_) return;
        seen = round_;
        lock.unlock();
        (*body_)(worker);
        lock.lock();
        if (--busy_ == 0) end_.notify_one();
    }
}

}  // namespace sparsr
