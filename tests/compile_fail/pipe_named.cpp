// expect: the left side of | is a named pipeline. HINT: write std::move(p) | ..., or by_ref(p) | ... to go on using it
#include <penstock/core/stage.hpp>

#include <optional>
#include <utility>

namespace ps = penstock;

struct ones {
    using item_type = int;
    std::optional<int> next() { return 1; }
};

int main() {
    auto p = ps::pipeline<ones>(ones{});
#ifndef PENSTOCK_REPAIRED
    (void)(p | ps::stage("pass", [](auto input) { return input; }));
#endif
    (void)(std::move(p) | ps::stage("pass", [](auto input) { return input; }));
}
