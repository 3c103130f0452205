// Rows of feature maps handed out from pools, one for every length of a row and worker that prefers to write it: of the rows
// that are free, the one given back last, which is still in that worker's cache. What a run holds at once is less than what all
// rings together may hold.
#pragma once

#include <cstddef>
#include <vector>

namespace sparsr {

struct Pipeline;

class Pool {
public:
    Pool(size_t row_bytes, int home) : row_bytes_(row_bytes), home_(home) {}

    size_t row_bytes() const { return row_bytes_; }
    int home() const { return home_; }  // number of the worker
    size_t rows() const { return rows_; }
    size_t bytes() const { return rows_ * row_bytes_; }
    void reserve(size_t rows) { rows_ = rows; }
    // Takes `bytes()` bytes there, of which all rows are free.
    void lie_at(char* place);
    // All rows are free.
    void restart();
    // Without memory the pool grows as it must, to find out how many rows that takes; with it there is always one.
    char* take();
    void give_back(char* row) { free_.push_back(row); }

private:
    size_t row_bytes_, rows_ = 0;
    int home_;
    char* memory_ = nullptr;
    std::vector<char*> free_;  // the last one is taken next
};

// Lets the rings that share their places with no other map take their rows from pools, large enough for the one order that
// a single worker takes, or with several for any order. Their capacities are there already.
void pool_rows(Pipeline& pipeline, int workers);

// Before a stage's step, and after it once it has been noted: takes the rows that the step writes, and gives back those that
// nobody needs any more. Not for two threads at once.
void take_rows(Pipeline& pipeline, size_t stage);
void give_back_rows(Pipeline& pipeline, size_t stage);

}  // namespace sparsr
