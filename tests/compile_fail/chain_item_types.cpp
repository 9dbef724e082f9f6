// expect: chain(a, b): the sources yield different item types. HINT: map each to one type first
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/chain.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::chain(ps::range(1), ps::from_vector<char>({'a'})));
#endif
    (void)(ps::chain(ps::range(1), ps::range(1)));
}
