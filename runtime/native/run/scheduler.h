// Stages that wait for each other, advanced step by step by several threads at a time.
//
// A stage makes one step after the other, never two at once; different stages step at the same time. Whether a stage is
// able to step may depend on how far the others are, and nothing takes the ability away again but its own step. So the
// order does not matter: if any order finishes, every order does, and with the same result.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <vector>

namespace sparsr {

class Scheduler {
public:
    struct Hooks {
        std::function<bool(size_t stage)> able;                // whether it can step now; never called by two threads
        std::function<void(size_t stage, int worker)> perform;  // the step, outside of any lock
        std::function<bool(size_t stage)> advance;             // notes it; false if all is done
        std::function<void(size_t stage)> begin = [](size_t) {};  // before the step; never called by two threads
    };

    // `affected`: of every stage, those whose ability its steps may change, itself among them. `home`: the worker that
    // prefers it, so that neighbouring stages find each other's results in one cache.
    Scheduler(const std::vector<std::vector<size_t>>& affected, const std::vector<int>& home, Hooks hooks);

    // Steps until all is done: of the able stages the last one at home here, or else the last one of all. Every worker
    // calls it with a number of its own; one suffices.
    void work(int worker);
    // Throws what a step has thrown.
    void check() const;

private:
    size_t choose(int worker) const;
    void finish(size_t stage);
    void wait(std::unique_lock<std::mutex>& lock);
    void fail(std::exception_ptr error);

    const std::vector<std::vector<size_t>>& affected_;
    const std::vector<int>& home_;
    Hooks hooks_;
    std::vector<char> able_;  // and not being performed
    std::vector<char> running_;
    int running_count_ = 0, sleeping_ = 0;
    bool over_ = false;
    std::exception_ptr error_;
    std::atomic<unsigned> changes_{0};
    std::mutex mutex_;
    std::condition_variable change_;
};

}  // namespace sparsr
