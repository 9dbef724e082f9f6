// expect: via(fn): the items of the view are views themselves, gone when the next one is asked for. HINT: keep them: | ranges::views::transform(ranges::to<std::vector>())
// rooms: ranges
#include <penstock/ranges/via.hpp>
#include <penstock/sources/range.hpp>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/chunk.hpp>
#include <range/v3/view/transform.hpp>

namespace ps = penstock;

int main() {
    (void)(ps::range(3) | ps::via([](auto& in) { return in | ranges::views::chunk(2) | ranges::views::transform(ranges::to<std::vector>()); }));
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::via([](auto& in) { return in | ranges::views::chunk(2); }));
#endif
}
