// expect: write_tar: the items are not fields. HINT: map each to ps::fields: f.add("png", bytes)
// rooms: formats
#include <penstock/formats/write_tar.hpp>
#include <penstock/sources/range.hpp>

namespace ps = penstock;

int main() {
    auto numbers = ps::range(3);
#ifndef PENSTOCK_REPAIRED
    (void)(std::move(numbers) | ps::write_tar("out-{}.tar", {.samples = 2}));
#endif
}
