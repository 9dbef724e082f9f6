// A user's program that fetched penstock by FetchContent: a pipeline is a range.
#include <penstock/sources/range.hpp>
#include <penstock/stages/shuffle.hpp>

#include <cstdint>
#include <cstdlib>
#include <iostream>

namespace ps = penstock;

int main() {
    std::int64_t sum = 0;
    for (auto i : ps::range(10) | ps::shuffle(4)) {
        std::cout << i << ' ';
        sum += i;
    }
    std::cout << '\n';
    return sum == 45 ? EXIT_SUCCESS : EXIT_FAILURE;
}
