// A user's program that has penstock as a folder of its own project: a stage of its own between ours.
#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/take.hpp>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

namespace ps = penstock;

template <class S>
struct every : ps::stage_over<S> {
    using item_type = typename S::item_type;
    using stateless = void;
    every(S input, int n) : ps::stage_over<S>(std::move(input)), n_(n) {}
    std::optional<item_type> next() {
        for (int i = 1; i < n_; ++i) (void)this->up.next();
        return this->up.next();
    }

private:
    int n_;
};

int main() {
    auto third = ps::stage_of<every>("every", 3);
    auto found = ps::range(100) | third | ps::take(3) | ps::collect();
    return found == std::vector<std::int64_t>{2, 5, 8} ? EXIT_SUCCESS : EXIT_FAILURE;
}
