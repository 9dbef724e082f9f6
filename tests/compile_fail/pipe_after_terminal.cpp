// expect: a terminal ends the chain: no stage can follow it. HINT: move the terminal to the end
#include <penstock/core/stage.hpp>

namespace ps = penstock;

int main() {
    auto pass = ps::stage("pass", [](auto input) { return input; });
    auto first = ps::terminal([](auto&& p) { return p.next(); });
#ifndef PENSTOCK_REPAIRED
    (void)(first | pass);
#endif
    (void)(pass | first);
}
