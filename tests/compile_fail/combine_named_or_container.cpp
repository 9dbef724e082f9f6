// expect: what is joined here must be pipelines of your own. HINT: write std::move(p), or by_ref(p) to go on using it; wrap a container with from_vector(v)
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/combine.hpp>

namespace ps = penstock;

int main() {
    auto p = ps::range(1);
#ifndef PENSTOCK_REPAIRED
    (void)(ps::combine(ps::combine_mode::max_size, p, ps::range(1)));
#endif
    (void)(ps::combine(ps::combine_mode::max_size, std::move(p), ps::range(1)));
}
