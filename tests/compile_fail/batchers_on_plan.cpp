// expect: this stage works on items, but what stands before it is a plan of shards. HINT: read the shards first, with read_tar()
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/batch_by_cost.hpp>
#include <penstock/stages/bucket_by_length.hpp>
#include <penstock/stages/cache.hpp>

struct plan {
    using plan_type = void;
};

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(plan{} | ps::batch(3));
    (void)(plan{} | ps::batch_by_cost(3, [](auto) { return 1; }));
    (void)(plan{} | ps::bucket_by_length([](auto) { return 1; }, {.budget = 3}));
    (void)(plan{} | ps::cache({.items = 3}));
#endif
    (void)(ps::range(3) | ps::batch(3));
    (void)(ps::range(3) | ps::batch_by_cost(3, [](auto) { return 1; }));
    (void)(ps::range(3) | ps::bucket_by_length([](auto) { return 1; }, {.budget = 3}));
    (void)(ps::range(3) | ps::cache({.items = 3}));
}
