// expect: the function of this stage cannot be called with an item of the stage before it. HINT: take it by value, const& or auto&&
// note: {"batch_by_cost"} long const
// note: {"bucket_by_length"} long const
// note: {"cache"} long const
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch_by_cost.hpp>
#include <penstock/stages/bucket_by_length.hpp>
#include <penstock/stages/cache.hpp>

namespace ps = penstock;

struct name {};

int main() {
#ifdef PENSTOCK_REPAIRED
    auto cost = [](auto const&) { return 1; };
#else
    auto cost = [](name) { return 1; };
#endif
    (void)(ps::range(3) | ps::batch_by_cost(3, cost));
    (void)(ps::range(3) | ps::bucket_by_length(cost, {.budget = 3}));
    (void)(ps::range(3) | ps::cache({.bytes = 3}, cost));
}
