// Rows of feature maps in memory.
//
// A row holds its channels one after the other, a channel `left + vectors + right` vectors of `lanes` activations. Lane l of
// vector j is image column l * vectors + j: the neighbour to the right of every lane is the next vector, so all taps of a
// convolution are aligned loads. The vectors left and right of them repeat the neighbours across lanes; what lies outside
// of the image is zero.
//
// A buffer of pixels is the other way round: a row holds left + width + right pixels, each with all its channels.
#pragma once

#include <cstddef>
#include <vector>

namespace sparsr {

// Pages of memory, zeros at first.
class Mapping {
public:
    Mapping() = default;
    explicit Mapping(size_t bytes);  // throws std::bad_alloc
    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;
    ~Mapping();

    template <class T = float>
    T* data() const {
        return static_cast<T*>(data_);
    }
    size_t bytes() const { return bytes_; }

private:
    void* data_ = nullptr;
    size_t bytes_ = 0;
};

struct Buffer {
    int channels = 0, height = 0, width = 0;
    int real_bytes = sizeof(float);  // of an activation, the unit of what follows
    int lanes = 1, vectors = 0, left = 0, right = 0;
    int pixel = 0;            // of a pixel; 0: the channels lie one after the other
    int top = 0, bottom = 0;  // rows of zeros above and below the image
    int capacity = 0;         // rows held at once
    size_t channel_stride = 0, row_stride = 0;
    std::vector<int> columns;  // offset of every image column from vector 0
    std::vector<int> dead;     // offsets of the places beyond the last column
    std::vector<char*> rows;   // where each begins, from row -top on: kernels take none to lie beside another

    // Sets strides and tables from the sizes.
    void lay_out();
    // What is left of the first column.
    size_t margin() const { return size_t(left) * size_t(pixel ? pixel : lanes); }
    size_t row_bytes() const { return row_stride * size_t(real_bytes); }
    // Bytes it needs with its present capacity.
    size_t bytes() const { return row_bytes() * size_t(capacity); }
    // Whether rows take the places of those that nobody needs any more.
    bool ring() const { return capacity < whole(); }
    // Takes as many bytes there.
    void lie_at(void* place);
    // Rows with the places above and below the image.
    int whole() const { return top + height + bottom; }
    // Whether rows of both can lie in the same places once their margins are the same.
    bool like(const Buffer& other) const;
    bool same_margins(const Buffer& other) const;
    // Gives both the larger margins, and one length; returns whether that changed anything.
    bool even_out(Buffer& other);

    char*& place(int y) { return rows[size_t(y + top)]; }
    // Vector 0 of channel 0 of a row -top <= y < height + bottom. T: what activations are.
    template <class T = float>
    T* row(int y) const {
        return reinterpret_cast<T*>(rows[size_t(y + top)]) + margin();
    }
};

// Some channels of a buffer.
struct View {
    const Buffer* buffer = nullptr;
    int first = 0, channels = 0;

    template <class T = float>
    T* row(int y) const {
        return buffer->row<T>(y) + size_t(first) * buffer->channel_stride;
    }
    size_t stride() const { return buffer->channel_stride; }
    int height() const { return buffer->height; }
    int width() const { return buffer->width; }
    int vectors() const { return buffer->vectors; }
    // Fills a row with zeros, the places beside the image included.
    void clear(int y) const;
};

}  // namespace sparsr
