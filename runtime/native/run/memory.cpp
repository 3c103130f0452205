// Which feature maps lie in the memory of others that have been read.
//
// Networks that pool over the whole image keep whole maps, but few at a time. A map may lie where another one of the same
// shape lies if no row is ever written before the other's is read for the last time, in one order of steps that a run can
// take. A run takes any order, so from then on a writer waits for it, as it waits for room.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>

#include "ops/operator.h"
#include "run/executor.h"

namespace sparsr {

namespace {

constexpr size_t second_cache = 1 << 20;

}  // namespace

// Finds for every map one that it may follow, each the predecessor of one other at most. Whole maps come first, the most
// memory; then rings, which may lie in a whole map too.
void Executor::share_memory() {
    std::vector<std::vector<size_t>> possible(maps_.size());
    for (size_t map = 0; map < maps_.size(); ++map)
        for (size_t before = 0; before < maps_.size(); ++before) {
            const Map &a = maps_[before], &b = maps_[map];
            if (map != before && !a.writers.empty() && !b.writers.empty() && a.buffer.like(b.buffer) &&
                (whole(a) || (!whole(b) && a.buffer.same_margins(b.buffer))))
                possible[map].push_back(before);
        }
    rehearse_run(possible);
    std::vector<bool> followed(maps_.size());
    const auto match = [&](bool wholes, bool same_margins) {
        for (size_t map = 0; map < maps_.size(); ++map) {
            Map& after = maps_[map];
            if (after.before != none || whole(after) != wholes) continue;
            for (size_t before : possible[map]) {
                if (followed[before] || (same_margins && !maps_[before].buffer.same_margins(after.buffer))) continue;
                after.before = before;
                followed[before] = true;
                break;
            }
        }
    };
    match(true, true);
    match(true, false);
    match(false, true);
    even_out();
}

// A run without its arithmetic, the last operation that can take a step first. Strikes out of `possible`, the maps that
// every map may follow, what it shows not to be.
void Executor::rehearse_run(std::vector<std::vector<size_t>>& possible) {
    for (Task& task : tasks_) task.done = 0;
    std::set<size_t> stages;  // that may be able
    for (size_t stage = 0; stage <= tasks_.size(); ++stage) stages.insert(stage);
    for (sink_ = 0; sink_ < output_size_.height && !stages.empty();) {
        const size_t stage = *stages.rbegin();
        if (!able(stage)) {
            stages.erase(stage);
            continue;
        }
        if (stage < tasks_.size()) {
            auto& list = possible[tasks_[stage].buffer];
            const auto struck = [&](size_t before) { return !is_read(before, tasks_[stage]); };
            list.erase(std::remove_if(list.begin(), list.end(), struck), list.end());
            tasks_[stage].done = step_end(tasks_[stage]);
        } else {
            ++sink_;
        }
        stages.insert(affected_[stage].begin(), affected_[stage].end());
    }
}

// Whether nobody needs the rows of map `before` any more that the task's next step writes in another map's.
bool Executor::is_read(size_t before, const Task& task) const {
    const Map& map = maps_[before];
    const int low = lowest_needed(map, &task);
    return low >= (whole(map) ? step_end(task) : map.buffer.height);
}

// Whether a step reads each place of that input once, just before it writes there.
bool Executor::in_place(const Task& task, size_t input) const {
    return operator_of(task.op->kind).in_place(*task.op, task.choice, input, around(*task.op));
}

// Maps in one memory have one length and the same margins.
void Executor::even_out() {
    for (bool again = true; again;) {
        again = false;
        for (Map& map : maps_)
            if (map.before != none) again = map.buffer.even_out(maps_[map.before].buffer) || again;
    }
    for (Map& map : maps_) map.buffer.lay_out();
}

void Executor::allocate_maps() {
    std::vector<Buffer*> rings, others;
    for (Map& map : maps_)
        if (has_memory(map)) (map.buffer.mirrored() ? rings : others).push_back(&map.buffer);
    place(others, bytes_of(rings));
    allocate_rings(std::move(rings));
    for (Map& map : maps_) {
        const Map* first = &map;
        while (first->before != none) first = &maps_[first->before];
        if (first != &map) map.buffer.lie_in(first->buffer);
    }
}

// Maps that are not mirrored lie one after the other in a memory that only grows, unless that would leave too little for
// the others.
void Executor::place(const std::vector<Buffer*>& buffers, size_t other_bytes) {
    const size_t bytes = bytes_of(buffers);
    if (arena_.bytes() < bytes || arena_.bytes() > max_bytes_ - other_bytes) {
        arena_ = Mapping();
        if (bytes) arena_ = Mapping(bytes, false);
    }
    char* free = arena_.data<char>();
    for (Buffer* buffer : buffers) {
        buffer->lie_at(free);
        // Beside pixels nothing is ever written, and zeros are expected.
        if (buffer->pixel) std::memset(free, 0, buffer->bytes());
        free += buffer->bytes();
    }
}

// Rings take those of the sizes before, the largest first. What none takes is kept for sizes that come again, as long as
// all is not much more than the largest size has needed.
void Executor::allocate_rings(std::vector<Buffer*> buffers) {
    std::stable_sort(buffers.begin(), buffers.end(), [](auto* a, auto* b) { return a->bytes() > b->bytes(); });
    const size_t needed = bytes_of(buffers);
    most_in_rings_ = std::max(most_in_rings_, needed);
    size_t room = std::min(max_bytes_ - arena_.bytes(), most_in_rings_ + most_in_rings_ / 4) - needed;
    for (Buffer* buffer : buffers) {
        const size_t bytes = buffer->bytes();
        // A small ring in a long one would leave the second cache.
        Mapping used = spares_.take(bytes, bytes + (bytes < second_cache ? std::min(bytes, room) : room));
        if (!used.data()) continue;
        room -= used.bytes() - bytes;
        buffer->use(std::move(used));
    }
    spares_.keep(room);
    for (Buffer* buffer : buffers)
        if (!buffer->start) buffer->use(Mapping(buffer->bytes(), true));
}

// Whether a map lies in memory of its own.
bool Executor::has_memory(const Map& map) { return !map.writers.empty() && map.before == none; }

size_t Executor::bytes_of(const std::vector<Buffer*>& buffers) {
    return std::accumulate(buffers.begin(), buffers.end(), size_t(0),
                           [](size_t sum, const Buffer* buffer) { return sum + buffer->bytes(); });
}

size_t Executor::map_bytes() const {
    return std::accumulate(maps_.begin(), maps_.end(), size_t(0), [](size_t sum, const Map& map) {
        return has_memory(map) ? sum + map.buffer.bytes() : sum;
    });
}

size_t Executor::buffer_bytes() const {
    return std::accumulate(maps_.begin(), maps_.end(), arena_.bytes() + spares_.bytes(),
                           [](size_t sum, const Map& map) { return sum + map.buffer.memory.bytes(); });
}

}  // namespace sparsr
