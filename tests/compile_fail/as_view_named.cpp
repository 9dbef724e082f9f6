// expect: as_view(p): p is a named pipeline, which only moves. HINT: as_view(std::move(p)), or use p itself: a named pipeline is a range
// rooms: ranges
#include <penstock/ranges/as_view.hpp>
#include <penstock/sources/range.hpp>

#include <utility>

namespace ps = penstock;

int main() {
    auto p = ps::range(3), q = ps::range(3);
    (void)ps::as_view(std::move(p));
#ifndef PENSTOCK_REPAIRED
    (void)ps::as_view(q);
#endif
    (void)q;
}
