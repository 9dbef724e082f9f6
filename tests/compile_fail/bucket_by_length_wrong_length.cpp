// expect: bucket_by_length(length, options): length must give a whole number for the item type of the stage before it. HINT: take it by const& and return a length
#include <penstock/sources/range.hpp>
#include <penstock/stages/bucket_by_length.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::bucket_by_length([](auto) { return "long"; }, {.budget = 3}));
#endif
    (void)(ps::range(3) | ps::bucket_by_length([](auto i) { return i; }, {.budget = 3}));
}
