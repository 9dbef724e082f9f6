// A user's program that found an installed penstock by find_package(), with two rooms.
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/fold.hpp>
#include <penstock/stages/map.hpp>

#include <cstdlib>
#include <iostream>

namespace ps = penstock;

int main() {
    auto batches = ps::range(10) | ps::filter([](auto i) { return i % 2 == 0; }) | ps::map([](auto i) { return i * i; }) | ps::batch(2);
    auto sums = std::move(batches) | ps::fold(0, [](int n, auto const& b) {
        std::cout << "batch of " << b.items.size() << '\n';
        return n + static_cast<int>(b.items.size());
    });
    return sums == 5 ? EXIT_SUCCESS : EXIT_FAILURE;
}
