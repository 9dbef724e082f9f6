// expect: named(name, p): p is no pipeline, or one that somebody else still holds. HINT: write std::move(p), or by_ref(p) to go on using it; wrap a container with from_vector(v)
#include <penstock/sources/range.hpp>
#include <penstock/stages/chain.hpp>

namespace ps = penstock;

int main() {
    auto p = ps::range(1);
#ifndef PENSTOCK_REPAIRED
    (void)ps::chain(ps::named("a", p), ps::range(1));
#endif
    (void)ps::chain(ps::named("a", std::move(p)), ps::range(1));
}
