// expect: cycle repeats the stages before it, but they cannot be rewound. HINT: start from a source with reset(epoch), or keep the items in a vector
#include <penstock/stages/cycle.hpp>

namespace ps = penstock;

struct once {
    using item_type = int;
    std::optional<int> next() { return 1; }
};
struct again : once {
    void reset(ps::epoch) {}
};

int main() {
#ifndef PENSTOCK_REPAIRED
    (void)(ps::pipeline<once>({}) | ps::cycle(2));
#endif
    (void)(ps::pipeline<again>({}) | ps::cycle(2));
}
