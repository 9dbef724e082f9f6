// expect: the function of this stage cannot be called with a keyed item. HINT: take it by const& (it holds id, key, weight and value)
// note: {"map_keyed"} penstock::keyed<int> & const
#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/map_keyed.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::from_vector<ps::keyed<int>>({}) | ps::map_keyed([](int i) { return i; }));
#endif
    (void)(ps::from_vector<ps::keyed<int>>({}) | ps::map_keyed([](ps::keyed<int> const& i) { return i.id; }));
}
