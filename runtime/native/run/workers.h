// Threads that work on a run together: the caller alone, threads of our own, or those of the engine that hosts us.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace sparsr {

class Workers {
public:
    virtual ~Workers() = default;
    virtual int count() const { return 1; }
    // Calls body(0), body(1), ... up to the count, at the same time as far as there are threads, and waits for all.
    virtual void run(const std::function<void(int)>& body) { body(0); }
};

// Threads of our own, which sleep between runs.
class ThreadPool : public Workers {
public:
    explicit ThreadPool(int count);  // the calling thread included; throws std::system_error
    ~ThreadPool() override;
    int count() const override { return int(threads_.size()) + 1; }
    void run(const std::function<void(int)>& body) override;

private:
    void serve(int worker);
    void stop();

    std::mutex mutex_;
    std::condition_variable begin_, end_;
    const std::function<void(int)>* body_ = nullptr;
    unsigned round_ = 0;
    int busy_ = 0;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace sparsr
