// expect: generate(f): f returns nothing. HINT: return the item, or std::optional of it to end some time
#include <penstock/sources/generate.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)ps::generate([] {});
#endif
    (void)ps::generate([] { return 1; });
}
