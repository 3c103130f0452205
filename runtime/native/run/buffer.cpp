#include "run/buffer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "system/system.h"

namespace sparsr {

namespace {

constexpr size_t cache_line = 64, crowded_bytes = 512;

}  // namespace

Mapping::Mapping(size_t bytes) : bytes_(bytes) {
    data_ = system::take_pages(bytes);
    if (!data_) throw std::bad_alloc();
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

Mapping::~Mapping() {
    if (data_) system::give_back_pages(data_, bytes_);
}

void Buffer::lay_out() {
    const size_t unit = cache_line / size_t(real_bytes);  // rows begin with one
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
    const auto bytes = size_t(buffer->real_bytes);
    std::memset(buffer->rows[size_t(y + buffer->top)] + size_t(first) * stride() * bytes, 0, count * bytes);
}

void Buffer::lie_at(void* place) {
    rows.resize(size_t(whole()));
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<char*>(place) + i % size_t(capacity) * row_bytes();
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
