// expect: map_keyed(f): the items before it carry no identity. HINT: use map(f), or read the items from shards
#include <penstock/sources/range.hpp>
#include <penstock/stages/map_keyed.hpp>
#include <penstock/stages/map.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::map_keyed([](auto const& i) { return i; }));
#endif
    (void)(ps::range(3) | ps::map([](auto i) { return ps::keyed<int>{.value = static_cast<int>(i)}; }) | ps::map_keyed([](auto const& i) { return i; }));
}
