// expect: alternate(k, a, b): the sources yield different item types. HINT: map each to one type first
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/alternate.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::alternate(1, ps::range(1), ps::from_vector<char>({'a'})));
#endif
    (void)(ps::alternate(1, ps::range(1), ps::range(1)));
}
