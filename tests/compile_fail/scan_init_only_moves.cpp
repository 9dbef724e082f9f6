// expect: scan(init, f): init must be copyable, since every epoch starts from it again. HINT: give it a type that copies
#include <penstock/sources/range.hpp>
#include <penstock/stages/scan.hpp>

#include <memory>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::scan(std::make_unique<int>(0), [](auto& n, auto) { return ++*n; }));
#endif
    (void)(ps::range(3) | ps::scan(0, [](int& n, auto) { return ++n; }));
}
