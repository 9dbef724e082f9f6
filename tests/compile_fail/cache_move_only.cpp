// expect: cache(options): the items cannot be copied, so they can be delivered only once. HINT: leave it out
#include <penstock/sources/range.hpp>
#include <penstock/stages/cache.hpp>

#include <memory>

struct names {
    using item_type = std::unique_ptr<int>;
    std::optional<item_type> next() { return std::nullopt; }
};

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::pipeline(names{}) | ps::cache({.items = 3}));
#endif
    (void)(ps::range(3) | ps::cache({.items = 3}));
}
