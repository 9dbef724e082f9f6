// expect: the function of this stage cannot be called with a batch. HINT: it gets the whole batch: loop over b.items, or put this stage before batch(), or unbatch() before it
// note: {"map"} penstock::batch_of<long
// note: {"filter"} penstock::batch_of<long
// note: {"flat_map"} penstock::batch_of<long
// note: {"filter_map"} penstock::batch_of<long
// note: {"inspect"} penstock::batch_of<long
// note: {"for_each"} penstock::batch_of<long
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/filter_map.hpp>
#include <penstock/stages/flat_map.hpp>
#include <penstock/stages/for_each.hpp>
#include <penstock/stages/inspect.hpp>
#include <penstock/stages/map.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace ps = penstock;

int main() {
    auto batches = [] { return ps::range(3) | ps::batch(2); };
    auto twice = [](std::int64_t i) { return 2 * i; };
    auto even = [](std::int64_t i) { return i % 2 == 0; };
    auto all = [](std::int64_t i) { return std::vector{i}; };
    auto some = [](std::int64_t i) { return std::optional(i); };
#ifdef PENSTOCK_REPAIRED
    auto items = [] { return ps::range(3); };
    (void)(items() | ps::map(twice) | ps::filter(even) | ps::flat_map(all) | ps::filter_map(some) | ps::batch(2));
    (void)(batches() | ps::map([=](auto b) { return twice(b.items[0]); }));
#else
    (void)(batches() | ps::map(twice));
    (void)(batches() | ps::filter(even));
    (void)(batches() | ps::flat_map(all));
    (void)(batches() | ps::filter_map(some));
    (void)(batches() | ps::inspect([](std::int64_t) {}));
    batches() | ps::for_each([](std::int64_t) {});
#endif
}
