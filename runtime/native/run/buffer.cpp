#include "run/buffer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <numeric>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

namespace sparsr {

namespace {

constexpr size_t crowded_bytes = 512;

void* reserve(size_t bytes, int protection) {
    void* place = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) throw std::bad_alloc();
    return place;
}

#ifdef MFD_CLOEXEC
bool map_twice(char* place, size_t bytes) {
    const int file = memfd_create("sparsr", MFD_CLOEXEC);
    if (file < 0) return false;
    const int flags = MAP_SHARED | MAP_FIXED, access = PROT_READ | PROT_WRITE;
    const bool done = ftruncate(file, off_t(bytes)) == 0 &&
                      mmap(place, bytes, access, flags, file, 0) != MAP_FAILED &&
                      mmap(place + bytes, bytes, access, flags, file, 0) != MAP_FAILED;
    close(file);
    return done;
}
#else
bool map_twice(char*, size_t) { return false; }
#endif

}  // namespace

Mapping::Mapping(size_t bytes, bool mirrored) : bytes_(bytes), length_(mirrored ? 2 * bytes : bytes) {
    data_ = reserve(length_, mirrored ? PROT_NONE : PROT_READ | PROT_WRITE);
#ifdef MADV_HUGEPAGE
    if (!mirrored) madvise(data_, length_, MADV_HUGEPAGE);  // a wish: large maps need fewer address translations
#endif
    if (mirrored && !map_twice(static_cast<char*>(data_), bytes)) {
        munmap(data_, length_);
        throw std::bad_alloc();
    }
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)),
      length_(std::exchange(other.length_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(length_, other.length_);
    return *this;
}

Mapping::~Mapping() {
    if (data_) munmap(data_, length_);
}

size_t Mapping::page() { return size_t(sysconf(_SC_PAGESIZE)); }

bool Mapping::can_mirror() {
    static const bool possible = [] {
        try {
            Mapping probe(page(), true);
            return true;
        } catch (const std::bad_alloc&) {
            return false;
        }
    }();
    return possible;
}

void Spares::add(Mapping mapping) {
    if (mapping.data()) mappings_.push_back(std::move(mapping));
}

Mapping Spares::take(size_t least, size_t most) {
    auto best = mappings_.end();
    for (auto it = mappings_.begin(); it != mappings_.end(); ++it) {
        const bool fits = it->bytes() >= least && it->bytes() <= most;
        if (fits && (best == mappings_.end() || it->bytes() < best->bytes())) best = it;
    }
    if (best == mappings_.end()) return {};
    Mapping taken = std::move(*best);
    mappings_.erase(best);
    return taken;
}

void Spares::keep(size_t bytes) {
    auto first = mappings_.begin();
    for (size_t all = this->bytes(); all > bytes; ++first) all -= first->bytes();
    mappings_.erase(mappings_.begin(), first);
}

size_t Spares::bytes() const {
    return std::accumulate(mappings_.begin(), mappings_.end(), size_t(0),
                           [](size_t sum, const Mapping& mapping) { return sum + mapping.bytes(); });
}

void Buffer::lay_out() {
    // A mirrored ring ends with a page; rows of pixels begin with a line of the cache.
    const size_t unit = (pixel ? 64 : Mapping::page()) / size_t(real_bytes);
    size_t line = size_t(left + vectors + right) * size_t(lanes);
    // Lines at such distances would share a few places of the first cache.
    if (line * size_t(real_bytes) % crowded_bytes == 0) line += size_t(lanes);
    channel_stride = pixel ? 1 : line;
    const size_t row = pixel ? size_t(left + width + right) * size_t(pixel) : line * size_t(channels);
    row_stride = (row + unit - 1) / unit * unit;
    columns.resize(size_t(width));
    for (int x = 0; x < width; ++x) columns[size_t(x)] = pixel ? x * pixel : x % vectors * lanes + x / vectors;
    dead.clear();
    for (int x = width; !pixel && x < vectors * lanes; ++x) dead.push_back(x % vectors * lanes + x / vectors);
}

void View::clear(int y) const {
    const size_t count = buffer->pixel ? buffer->row_stride : stride() * size_t(channels);
    const size_t begin = buffer->place(y) + size_t(first) * stride();
    const auto bytes = size_t(buffer->real_bytes);
    std::memset(static_cast<char*>(buffer->start) + begin * bytes, 0, count * bytes);
}

void Buffer::use(Mapping mapping) {
    memory = std::move(mapping);
    start = memory.data<void>();
    period = memory.bytes() / size_t(real_bytes);
}

void Buffer::lie_at(void* place) {
    start = place;
    period = bytes() / size_t(real_bytes);
}

void Buffer::lie_in(const Buffer& other) {
    start = other.start;
    period = other.period;
}

bool Buffer::like(const Buffer& other) const {
    return channels == other.channels && height == other.height && width == other.width && real_bytes == other.real_bytes &&
           lanes == other.lanes && vectors == other.vectors && pixel == other.pixel;
}

bool Buffer::same_margins(const Buffer& other) const {
    return left == other.left && right == other.right && top == other.top && bottom == other.bottom;
}

bool Buffer::even_out(Buffer& other) {
    const bool same = same_margins(other) && capacity == other.capacity, rings = ring() && other.ring();
    left = other.left = std::max(left, other.left);
    right = other.right = std::max(right, other.right);
    top = other.top = std::max(top, other.top);
    bottom = other.bottom = std::max(bottom, other.bottom);
    capacity = other.capacity = rings ? std::max(capacity, other.capacity) : whole();
    return !same;
}

}  // namespace sparsr
