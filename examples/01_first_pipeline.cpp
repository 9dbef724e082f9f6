// 01: a pipeline is a source, some stages and an end, joined by |.
//
//   range(10) ----> filter(odd) ----> map(square) ----> batch(2) ------------> for_each(print)
//   0 1 2 ... 9     1 3 5 7 9         1 9 25 49 81      [1 9] [25 49] [81]
//
#include <penstock/penstock.hpp>  // all of it that needs no LibTorch: the only include of ours you need

#include <iostream>

namespace ps = penstock;

int main() {
    auto odd = [](std::int64_t i) { return i % 2 == 1; };
    auto square = [](std::int64_t i) { return i * i; };
    auto print = [](auto const& b) {
        std::cout << " [";
        for (auto i : b.items) std::cout << ' ' << i;
        std::cout << " ]";
    };

    // Source first, end last. The end pulls: for_each asks batch for an item, batch asks map, map asks filter, filter asks range.
    std::cout << "in batches:";
    ps::range(10) | ps::filter(odd) | ps::map(square) | ps::batch(2) | ps::for_each(print);
    std::cout << '\n';

    // Without an end it is a value that waits: nothing has been computed here ...
    auto noisy = ps::range(10) | ps::map([](std::int64_t i) {
                     std::cout << " map(" << i << ")";
                     return i;
                 });
    std::cout << "built, not run\n";

    // ... and what is pulled is computed one item at a time, never more than is asked for. next() gives an item, or nothing at the end.
    std::cout << "two items:";
    noisy.next();
    noisy.next();
    std::cout << '\n';

    // Stages without a source are values too. Name them, reuse them over any source that fits.
    auto squares_of_odd = ps::filter(odd) | ps::map(square);
    auto add = [](std::int64_t sum, std::int64_t i) { return sum + i; };
    auto const small = ps::range(10) | squares_of_odd | ps::fold(std::int64_t{0}, add);
    auto const mine = ps::from_vector<std::int64_t>({3, 4, 5}) | squares_of_odd | ps::fold(std::int64_t{0}, add);
    std::cout << "sums: " << small << " and " << mine << '\n';
}

// Output:
//   in batches: [ 1 9 ] [ 25 49 ] [ 81 ]
//   built, not run
//   two items: map(0) map(1)
//   sums: 165 and 34
