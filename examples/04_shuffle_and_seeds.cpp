// 04: the order of a shuffled stream is a function of seed and epoch, and of nothing else.
//
//   range(12) ---> shuffle(4) ---> collect()
//                     |
//                     +-- holds 4 items on average: item i leaves after a random number of pulls, drawn from (seed, epoch, i)
//
#include <penstock/penstock.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

namespace ps = penstock;

template <class Pipeline>
void show(std::string const& what, Pipeline& p) {
    std::cout << what << ':';
    for (auto i : p) std::cout << ' ' << i;
    std::cout << '\n';
}

int main() {
    auto numbers = ps::range(12) | ps::shuffle(4);

    numbers.reset(/*seed*/ 1, /*epoch*/ 0);
    show("seed 1, epoch 0", numbers);
    numbers.reset(1, 1);
    show("seed 1, epoch 1", numbers);  // every epoch has an order of its own ...
    numbers.reset(2, 0);
    show("seed 2, epoch 0", numbers);  // ... and so has every seed
    numbers.reset(1, 0);
    show("seed 1, epoch 0", numbers);  // the same again: on this machine and on any other

    // A stage that draws no random numbers changes nothing in one that does: look inside a pipeline without disturbing it.
    int seen = 0;
    auto watched = ps::range(12) | ps::inspect([&](auto) { ++seen; }) | ps::shuffle(4) | ps::inspect([&](auto) { ++seen; });
    watched.reset(1, 0);
    show("with inspect   ", watched);
    std::cout << seen << " items were looked at\n";

    // How far does an item move? About as far as the window is wide. Shuffling whole shards with shuffle_shards() does the rest:
    // it mixes the data set and holds nothing.
    for (int const window : {10, 100, 1000}) {
        auto const order = ps::range(20'000) | ps::shuffle(window) | ps::collect();
        std::int64_t moved = 0;
        for (std::size_t at = 0; at != order.size(); ++at) moved += std::abs(order[at] - static_cast<std::int64_t>(at));
        auto const average = static_cast<double>(moved) / static_cast<double>(order.size());
        std::cout << "shuffle(" << window << "): items move by " << static_cast<int>(average / window * 100) << " % of the window on average\n";
    }

    // It starts at once. `warm` fills the window first, so that the first items are as well mixed as the others.
    auto first_pulls = [](bool warm) {
        int pulled = 0;
        auto p = ps::range(5000) | ps::inspect([&](auto) { ++pulled; }) | ps::shuffle({.window = 1000, .warm = warm});
        (void)p.next();
        return pulled;
    };
    std::cout << "the first item comes after " << first_pulls(false) << " pulls, warm after " << first_pulls(true) << '\n';
}

// Output:
//   seed 1, epoch 0: 1 3 5 6 4 0 9 10 2 11 8 7
//   seed 1, epoch 1: 0 1 2 4 5 9 7 10 3 6 8 11
//   seed 2, epoch 0: 0 1 3 5 2 6 4 7 9 8 10 11
//   seed 1, epoch 0: 1 3 5 6 4 0 9 10 2 11 8 7
//   with inspect   : 1 3 5 6 4 0 9 10 2 11 8 7
//   24 items were looked at
//   shuffle(10): items move by 70 % of the window on average
//   shuffle(100): items move by 70 % of the window on average
//   shuffle(1000): items move by 67 % of the window on average
//   the first item comes after 57 pulls, warm after 1000
