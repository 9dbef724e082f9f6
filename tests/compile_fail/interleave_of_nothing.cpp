// expect: interleave(options, sources...): there must be at least one source. HINT: interleave({}, named("a", 1, std::move(p)), ...)
#include <penstock/sources/range.hpp>
#include <penstock/stages/interleave.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::interleave({}));
#endif
    (void)(ps::interleave({}, ps::range(1)));
}
