// expect: map_keyed(f): f returns nothing. HINT: return the new item or its value
#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/map_keyed.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::from_vector<ps::keyed<int>>({}) | ps::map_keyed([](auto const&) {}));
#endif
    (void)(ps::from_vector<ps::keyed<int>>({}) | ps::map_keyed([](auto const& i) { return i.id; }));
}
