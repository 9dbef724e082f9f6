// The library's side of interleave.py: three in-memory sources of integers mixed .7/.2/.1. For every line on standard input one pass, and on
// standard output its CPU nanoseconds per item by exact picks and by random ones.
#include <support/bench.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/interleave.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

using number = std::int64_t;
constexpr number items = 5'000'000;

double ns_per_item(ps::picks rule) {
    auto chain = ps::interleave({.stop = ps::stop_rule::forever, .picks = rule}, ps::named("a", 0.7, ps::range(items)), ps::named("b", 0.2, ps::range(items)),
                                ps::named("c", 0.1, ps::range(items)));
    chain.reset(7, 0);
    auto const spent = bench::measure([&] {
        number total = 0;
        for (number i = 0; i != items; ++i) {
            auto x = chain.next();  // not const: GCC 12 keeps a const optional in memory, where reading it back stalls for 13 ns
            if (!x) throw std::runtime_error("it ended after " + std::to_string(i) + " items");
            total += *x;
        }
        bench::keep(total);
    });
    return 1e9 * spent.cpu_s / static_cast<double>(items);
}

}  // namespace

int main() {
    try {
        for (std::string line; std::getline(std::cin, line);) std::cout << ns_per_item(ps::picks::exact) << ' ' << ns_per_item(ps::picks::random) << std::endl;
    } catch (std::exception const& e) {
        std::fprintf(stderr, "interleave_ours: %s\n", e.what());
        return 1;
    }
}
