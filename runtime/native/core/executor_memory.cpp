// Which feature maps lie in the memory of others that have been read.
//
// Networks that pool over the whole image keep whole maps, but few at a time. A map may lie where another one of the same
// shape lies if no row is ever written before the other's is read for the last time, in one order of steps that a run can
// take. A run takes any order, so from then on a writer waits for it, as it waits for room.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>

#include "executor.h"

namespace sparsr {

// Gives whole maps of one shape the same margins, so that they can lie in each other's places.
void Executor::align_margins() {
    for (Map& map : maps_)
        for (const Map& other : maps_) {
            Buffer& buffer = map.buffer;
            const Buffer& like = other.buffer;
            if (buffer.channels != like.channels || buffer.height != like.height || buffer.width != like.width ||
                buffer.vectors != like.vectors || buffer.pixel != like.pixel)
                continue;
            buffer.top = std::max(buffer.top, like.top);
            buffer.bottom = std::max(buffer.bottom, like.bottom);
            buffer.left = std::max(buffer.left, like.left);
            buffer.right = std::max(buffer.right, like.right);
        }
}

// Finds for every map one that it may follow, each the predecessor of one other at most.
void Executor::share_memory() {
    std::vector<std::vector<size_t>> possible(maps_.size());
    for (size_t map = 0; map < maps_.size(); ++map)
        for (size_t before = 0; before < maps_.size(); ++before) {
            const Map &a = maps_[before], &b = maps_[map];
            if (map != before && !a.writers.empty() && !b.writers.empty() && a.buffer.fits(b.buffer) && whole(a) == whole(b))
                possible[map].push_back(before);
        }
    rehearse_run(possible);
    std::vector<bool> followed(maps_.size());
    for (size_t map = 0; map < maps_.size(); ++map)
        for (size_t before : possible[map]) {
            if (followed[before]) continue;
            maps_[map].before = before;
            followed[before] = true;
            break;
        }
    even_out_capacities();
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
    const Op& op = *task.op;
    if (op.kind != Op::Kind::layer || op.block > 1) return false;
    if (op.layer->kind == Kind::conv)
        return input == op.inputs.size() && task.choice.kernel == Choice::Kernel::dense;
    return input == 0 && task.choice.kernel == Choice::Kernel::lines && op.layer->kind != Kind::avg_pool;
}

// Maps in one memory are rings of one length.
void Executor::even_out_capacities() {
    for (bool again = true; again;) {
        again = false;
        for (Map& map : maps_) {
            if (map.before == none) continue;
            int &own = map.buffer.capacity, &other = maps_[map.before].buffer.capacity;
            again = again || own != other;
            own = other = std::max(own, other);
        }
    }
}

void Executor::allocate_maps() {
    std::vector<Buffer*> wholes, rings;
    for (Map& map : maps_)
        if (has_memory(map)) (map.buffer.ring() ? rings : wholes).push_back(&map.buffer);
    place_wholes(wholes, bytes_of(rings));
    allocate_rings(std::move(rings));
    for (Map& map : maps_) {
        const Map* first = &map;
        while (first->before != none) first = &maps_[first->before];
        if (first != &map) map.buffer.lie_in(first->buffer);
    }
}

// Whole maps lie one after the other in a memory that only grows, unless that would leave too little for others.
void Executor::place_wholes(const std::vector<Buffer*>& buffers, size_t other_bytes) {
    const size_t bytes = bytes_of(buffers);
    if (arena_.bytes() < bytes || arena_.bytes() > max_bytes_ - other_bytes) {
        arena_ = Mapping();
        if (bytes) arena_ = Mapping(bytes, false);
    }
    char* place = arena_.data<char>();
    for (Buffer* buffer : buffers) {
        buffer->lie_at(place);
        // Beside pixels nothing is ever written, and zeros are expected.
        if (buffer->pixel) std::memset(place, 0, buffer->bytes());
        place += buffer->bytes();
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
        // What lies beside pixels stays zero only while rows return to the same places, as in a ring of just its length.
        if (buffer->pixel) continue;
        const size_t bytes = buffer->bytes();
        Mapping used = spares_.take(bytes, bytes + std::min(bytes, room));
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
