// expect: via(fn): fn cannot be called with the items as a range. HINT: take it by auto&: via([](auto& in) { return in | ranges::views::filter(keep); })
// rooms: ranges
#include <penstock/ranges/via.hpp>
#include <penstock/sources/range.hpp>

#include <ranges>

namespace ps = penstock;

int main() {
    (void)(ps::range(3) | ps::via([](auto& in) { return in | std::views::take(2); }));
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::via([](std::int64_t i) { return i; }));
#endif
}
