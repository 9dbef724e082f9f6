// A user's program that links the installed room for views, and with it range-v3.
#include <penstock/ranges/as_view.hpp>
#include <penstock/ranges/via.hpp>
#include <penstock/sources/range.hpp>

#include <range/v3/numeric/accumulate.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/take.hpp>

#include <cstdint>
#include <cstdlib>
#include <iostream>

namespace ps = penstock;

int main() {
    auto odd = [](auto& in) { return in | ranges::views::filter([](auto i) { return i % 2 == 1; }); };
    auto const sum = ranges::accumulate(ps::range(10) | ps::via(odd, ps::per_item) | ps::as_view() | ranges::views::take(3), std::int64_t{0});
    std::cout << "1 + 3 + 5 = " << sum << '\n';
    return sum == 9 ? EXIT_SUCCESS : EXIT_FAILURE;
}
