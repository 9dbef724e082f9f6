// expect: combine(mode, sources...): there must be at least one source. HINT: combine(combine_mode::min_size, named("a", std::move(p)), ...)
#include <penstock/sources/range.hpp>
#include <penstock/stages/combine.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::combine(ps::combine_mode::max_size));
#endif
    (void)(ps::combine(ps::combine_mode::max_size, ps::range(1)));
}
