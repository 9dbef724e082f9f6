// expect: to<Container>(): the container cannot be filled with the items of the chain. HINT: it needs insert(end, item) or push(item); map the items to its type first
#include <penstock/sources/range.hpp>
#include <penstock/stages/to.hpp>

#include <map>
#include <vector>

namespace ps = penstock;

int main() {
    (void)(ps::range(3) | ps::to<std::vector>());
#ifndef PENSTOCK_REPAIRED
    (void)(ps::range(3) | ps::to<std::map<int, int>>());
#endif
}
