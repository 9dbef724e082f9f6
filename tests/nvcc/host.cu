// Every header of core, sources and stages as nvcc reads it (all.hpp is made from the lists of the rooms), and chains that run on the host.
#include "all.hpp"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

namespace ps = penstock;

namespace {

int failures = 0;
void check(bool ok, char const* what) {
    if (ok) return;
    ++failures;
    std::printf("host.cu: wrong: %s\n", what);
}

template <class S>
struct every_second : ps::stage_over<S> {
    using item_type = typename S::item_type;
    using stateless = void;
    explicit every_second(S input) : ps::stage_over<S>(std::move(input)) {}
    std::optional<item_type> next() {
        (void)this->up.next();
        return this->up.next();
    }
};

auto chain() {
    return ps::range(1000) | ps::filter([](auto i) { return i % 3 != 0; }) | ps::map([two = std::make_unique<int>(2)](auto i) { return *two * i; }) | ps::shuffle(20) | ps::take(500) | ps::batch(32);
}

}  // namespace

int main() {
    std::int64_t sum = 0, count = 0;
    auto p = chain();
    p.reset(7, 0);
    for (auto const& b : p) {
        count += static_cast<std::int64_t>(b.items.size());
        sum = std::accumulate(b.items.begin(), b.items.end(), sum);
    }
    check(count == 500, "500 items in batches");
    check(sum % 2 == 0, "every item was doubled");

    auto a = chain(), b = chain();
    a.reset(7, 1);
    for (int i = 0; i != 5; ++i) (void)a.next();
    b.load(ps::state::parse(a.save().text()));
    while (true) {
        auto const x = a.next(), y = b.next();
        check(x.has_value() == y.has_value() && (!x || x->items == y->items), "a loaded chain goes on where the other was saved");
        if (!x || !y) break;
    }
    check((ps::from_vector({1, 2, 3, 4}) | ps::stage_of<every_second>("every_second") | ps::collect()) == std::vector{2, 4}, "a stage of the user");
    check((ps::range(10) | ps::fold(0, [](auto total, auto i) { return total + static_cast<int>(i); })) == 45, "fold");

    auto plan = ps::shard_list("train-{000..003}.tar", {.samples_per_shard = 10}) | ps::shuffle_shards() | ps::split_by_rank({1, 2});
    check(plan.shards() == 4, "a plan over shards");
    try {
        (void)ps::batch(0);
        check(false, "batch(0) is refused");
    } catch (ps::config_error const&) {
    }
    if (failures == 0) std::printf("core, sources and stages: compiled by nvcc %d.%d, run on the host\n", __CUDACC_VER_MAJOR__, __CUDACC_VER_MINOR__);
    return failures != 0;
}
