// Stages that wait for each other, on one thread and several.
#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "run/scheduler.h"
#include "run/workers.h"

using namespace sparsr;

namespace {

// Stage i may be at most `lead` steps ahead of stage i + 1, and never behind it.
struct Queue {
    static constexpr int stages = 5, steps = 300, lead = 3;
    int done[stages] = {};
    std::atomic<int> running[stages] = {};
    std::atomic<bool> overlapped{false};
    std::vector<std::vector<size_t>> affected;
    std::vector<int> home;

    Queue() : affected(stages), home(stages) {
        for (size_t stage = 0; stage < stages; ++stage) {
            for (size_t other = stage ? stage - 1 : 0; other < std::min<size_t>(stage + 2, stages); ++other)
                affected[stage].push_back(other);
            home[stage] = int(stage) % 2;
        }
    }

    bool able(size_t stage) const {
        const bool fed = stage == 0 || done[stage - 1] > done[stage];
        const bool room = stage + 1 == stages || done[stage] - done[stage + 1] < lead;
        return done[stage] < steps && fed && room;
    }

    void perform(size_t stage) {
        if (running[stage]++) overlapped = true;
        --running[stage];
    }

    bool advance(size_t stage) { return ++done[stage] < steps || stage + 1 < stages; }
};

void run(Queue& queue, Workers& workers, const std::function<void(size_t)>& perform) {
    Scheduler scheduler(queue.affected, queue.home, {[&](size_t stage) { return queue.able(stage); },
                                                     [&](size_t stage, int) { perform(stage); },
                                                     [&](size_t stage) { return queue.advance(stage); }});
    workers.run([&](int worker) { scheduler.work(worker); });
    scheduler.check();
}

}  // namespace

TEST_CASE("every stage makes all its steps, never two at once") {
    for (int threads : {1, 2, 4}) {
        CAPTURE(threads);
        Queue queue;
        ThreadPool pool(threads);
        run(queue, pool, [&](size_t stage) { queue.perform(stage); });
        for (int done : queue.done) CHECK(done == Queue::steps);
        CHECK(!queue.overlapped);
    }
}

TEST_CASE("what a step throws ends the run and is thrown") {
    for (int threads : {1, 3}) {
        Queue queue;
        ThreadPool pool(threads);
        const auto perform = [&](size_t stage) {
            if (stage == 2 && queue.done[2] == 17) throw std::runtime_error("step 17");
        };
        CHECK_THROWS_WITH(run(queue, pool, perform), "step 17");
        CHECK(queue.done[2] == 17);
    }
}
