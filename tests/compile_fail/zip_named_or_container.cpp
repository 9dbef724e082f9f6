// expect: what is joined here must be pipelines of your own. HINT: write std::move(p), or by_ref(p) to go on using it; wrap a container with from_vector(v)
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/zip.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::zip(std::vector<int>{1}, ps::range(1)));
#endif
    (void)(ps::zip(ps::from_vector<int>({1}), ps::range(1)));
}
