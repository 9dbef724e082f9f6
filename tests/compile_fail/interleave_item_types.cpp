// expect: interleave: the sources yield different item types. HINT: map each to one type first
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/interleave.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::interleave({}, ps::named("a", 1, ps::range(1)), ps::named("b", 1, ps::from_vector<char>({'a'}))));
#endif
    (void)(ps::interleave({}, ps::range(1), ps::range(1)));
}
