// expect: the left side of | is no pipeline. HINT: wrap a container with from_vector(v); a terminal, which ends a chain, can only stand at its end
#include <penstock/core/stage.hpp>

#include <vector>

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(std::vector{1, 2, 3} | ps::stage("pass", [](auto input) { return input; }));
#endif
}
