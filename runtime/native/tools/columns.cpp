#include "tools/columns.h"

#include <algorithm>
#include <string>

#include "tools/device.h"

std::vector<Column> columns(int width, int halo, uint64_t bytes, const std::function<uint64_t(int)>& need) {
    for (int count = 1, kept; count <= width; count = (width + kept - 2) / std::max(1, kept - 1)) {
        kept = (width + count - 1) / count;
        const int window = std::min(width, kept + 2 * halo);
        if (need(window) <= bytes) {
            std::vector<Column> found;
            for (int left = 0; left < width; left += kept) {
                const int start = std::clamp(left - halo, 0, width - window);
                found.push_back({start, start + window, left, std::min(left + kept, width)});
            }
            return found;
        }
        if (kept == 1) break;
    }
    const uint64_t least = need(std::min(width, 1 + 2 * halo));
    fail("the picture takes " + std::to_string((least >> 20) + 1) + " MiB at least beside what the program itself takes");
}
