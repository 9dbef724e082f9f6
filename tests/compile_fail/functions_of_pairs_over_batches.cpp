// expect: the function of this stage cannot be called with two arguments, first the state (scan, by reference), the total (fold) or the control's value (steer), then a batch. HINT: it gets the whole batch: loop over b.items, or put this stage before batch(), or unbatch() before it
// note: {"scan"} penstock::batch_of<long
// note: {"fold"} penstock::batch_of<long
// note: {"steer"} penstock::batch_of<long
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/fold.hpp>
#include <penstock/stages/scan.hpp>
#include <penstock/stages/steer.hpp>

#include <cstdint>

namespace ps = penstock;

int main() {
    auto batches = [] { return ps::range(3) | ps::batch(2); };
#ifdef PENSTOCK_REPAIRED
    using item = ps::batch_of<std::int64_t> const&;
#else
    using item = std::int64_t;
#endif
    (void)(batches() | ps::scan(0, [](int& sum, item) { return ++sum; }));
    (void)(batches() | ps::fold(0, [](int sum, item) { return sum + 1; }));
    (void)(batches() | ps::steer(ps::control<int>("level", 1), [](int level, item) { return level; }));
}
