// expect: the function of this stage must return bool. HINT: return a comparison, as in [](auto const& item) { return item > 0; }
// note: {"filter"} long const
// note: {"skip_while"} long const
// note: {"take_while"} long const
#include <penstock/sources/range.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/skip_while.hpp>
#include <penstock/stages/take_while.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::filter([](auto) { return name{}; }));
    (void)(ps::range(3) | ps::skip_while([](auto) { return name{}; }));
    (void)(ps::range(3) | ps::take_while([](auto) {}));
#endif
    (void)(ps::range(3) | ps::filter([](auto i) { return i != 0; }));
    (void)(ps::range(3) | ps::skip_while([](auto i) { return i != 0; }));
    (void)(ps::range(3) | ps::take_while([](auto i) { return i != 0; }));
}
