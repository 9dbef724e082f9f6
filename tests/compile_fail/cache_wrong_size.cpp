// expect: the function of this stage must return a whole number. HINT: return how many tokens, pixels or bytes the item has; static_cast<std::uint64_t>(x) makes one of a fraction
// note: {"cache"} long const
#include <penstock/sources/range.hpp>
#include <penstock/stages/cache.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::cache({.bytes = 3}, [](auto) { return "much"; }));
#endif
    (void)(ps::range(3) | ps::cache({.bytes = 3}, [](auto) { return 8; }));
}
