// expect: save: this chain cannot be saved, as a source or a stage in it tells no position. HINT: write save and load; say via(fn, per_item) of a view that makes each value of one item
// rooms: ranges
#include <penstock/ranges/via.hpp>
#include <penstock/sources/range.hpp>

#include <ranges>

namespace ps = penstock;

int main() {
    auto even = [](auto& in) { return in | std::views::filter([](auto i) { return i % 2 == 0; }); };
    (void)(ps::range(3) | ps::via(even, ps::per_item)).save();
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::via(even)).save();
#endif
}
