// expect: via(fn): fn must return a view of the range that it is given, by value. HINT: via([](auto& in) { return in | ranges::views::filter(keep); })
// rooms: ranges
#include <penstock/ranges/via.hpp>
#include <penstock/sources/range.hpp>

namespace ps = penstock;

int main() {
    auto range = ps::range(3);
#ifndef PENSTOCK_REPAIRED
    (void)(std::move(range) | ps::via([](auto& in) { return in.begin() == in.end(); }));
#endif
    (void)range;
}
