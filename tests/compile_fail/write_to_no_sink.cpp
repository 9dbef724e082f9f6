// expect: write_to(sink): the sink has no write(item) for the item type of the chain, or no finish(). HINT: give it both; write takes the item by value or const&
#include <penstock/sources/range.hpp>
#include <penstock/stages/write_to.hpp>

struct unfinished {
    void write(std::int64_t) {}
};
struct whole : unfinished {
    void finish() {}
};

namespace ps = penstock;

int main() {
#ifndef PENSTOCK_REPAIRED
    ps::range(3) | ps::write_to(unfinished{});
#endif
    ps::range(3) | ps::write_to(whole{});
}
