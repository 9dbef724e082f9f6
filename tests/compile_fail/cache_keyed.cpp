// expect: cache(options): samples from shards stand for other positions in every pass, which a cache cannot renew. HINT: put the decoded samples into shards once, with write_tar
#include <penstock/sources/range.hpp>
#include <penstock/stages/cache.hpp>

struct names {
    using item_type = penstock::keyed<int>;
    std::optional<item_type> next() { return std::nullopt; }
};

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::pipeline(names{}) | ps::cache({.items = 3}));
#endif
    (void)(ps::range(3) | ps::cache({.items = 3}));
}
