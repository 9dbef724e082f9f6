// expect: the function of this stage must return a whole number. HINT: return how many tokens, pixels or bytes the item has; static_cast<std::uint64_t>(x) makes one of a fraction
// note: {"bucket_by_length"} long const
#include <penstock/sources/range.hpp>
#include <penstock/stages/bucket_by_length.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::bucket_by_length([](auto) { return "long"; }, {.budget = 3}));
#endif
    (void)(ps::range(3) | ps::bucket_by_length([](auto i) { return i; }, {.budget = 3}));
}
