// expect: the function of this stage cannot be called with the value of a keyed item. HINT: take the value by value, const& or auto&&; map_keyed(f) gives the whole item
// note: {"map"} penstock::keyed<int>
// note: {"filter"} penstock::keyed<int>
// note: {"inspect"} penstock::keyed<int>
#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/inspect.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/map_keyed.hpp>

namespace ps = penstock;

int main() {
    auto samples = [] { return ps::from_vector<ps::keyed<int>>({}); };
    auto key_of = [](ps::keyed<int> const& i) { return i.key; };
#ifndef PENSTOCK_REPAIRED
    (void)(samples() | ps::map(key_of));
    (void)(samples() | ps::filter([](ps::keyed<int> const& i) { return i.weight > 0; }));
    (void)(samples() | ps::inspect(key_of));
#endif
    (void)(samples() | ps::map([](int i) { return i; }) | ps::map_keyed(key_of));
}
