// expect: dedup(n): the items have no std::hash and ==, by which they are told apart. HINT: dedup(n, by), with a function of the item that returns a number or text
#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/dedup.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::from_vector(std::vector<name>(3)) | ps::dedup(2));
#endif
    (void)(ps::from_vector(std::vector<name>(3)) | ps::dedup(2, [](name) { return 1; }));
}
