// expect: the function of this stage returns nothing, but what it returns goes on from here. HINT: return the new item; inspect(f) is for functions that only look
// note: {"map_keyed"} penstock::keyed<int> & const
#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/map_keyed.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::from_vector<ps::keyed<int>>({}) | ps::map_keyed([](auto const&) {}));
#endif
    (void)(ps::from_vector<ps::keyed<int>>({}) | ps::map_keyed([](auto const& i) { return i.id; }));
}
