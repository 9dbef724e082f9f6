// expect: unbatch() takes batches apart, but the stage before it yields none. HINT: put batch(n) before it; for vectors use flat_map(f)
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/unbatch.hpp>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::unbatch());
#endif
    (void)(ps::range(3) | ps::batch(2) | ps::unbatch());
}
