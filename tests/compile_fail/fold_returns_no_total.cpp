// expect: the function of this stage must return the new total, of a type that converts to that of init. HINT: give init the type of the sum
// note: {"fold"} long int
#include <penstock/sources/range.hpp>
#include <penstock/stages/fold.hpp>

#include <string>

namespace ps = penstock;

int main() {
    auto joined = [](auto, auto i) { return std::to_string(i); };
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::fold(0, joined));
    (void)(ps::range(3) | ps::fold(0, [](int, auto) {}));
#endif
    (void)(ps::range(3) | ps::fold(std::string(), joined));
}
