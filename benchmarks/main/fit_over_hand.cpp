// What does fit() cost over a loop written by hand? The same network, the same batches (held in memory), CPU time per step of all ranks,
// on one rank and on two; the two take turns in one process.
#include "hand_loop.hpp"

#include "../../examples/fashion_network.hpp"

#include <support/bench.hpp>

#include <penstock/train.hpp>

#include <ctime>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

constexpr int steps = 60, unmeasured = 10, accumulate = 2;
constexpr std::int64_t batch_size = 64;
constexpr double rate = 4e-3;

struct held_batch {
    at::Tensor image, label;
    double weight = 0;
};

/// What fit sees of a held batch: the protocol of a batch.
struct fit_batch {
    at::Tensor image, label;
    double weight() const { return static_cast<double>(label.size(0)); }
    std::size_t size() const { return static_cast<std::size_t>(label.size(0)); }
};

struct held_source {
    using item_type = fit_batch;
    std::vector<held_batch> const* all;
    int left;
    std::optional<fit_batch> next() {
        if (left == 0) return std::nullopt;
        auto const& b = (*all)[static_cast<std::size_t>(--left) % all->size()];
        return fit_batch{b.image, b.label};
    }
};

double process_seconds() {
    timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// CPU seconds per step between two steps, all ranks together.
struct meter {
    ps::dist::context& ctx;
    double from = 0, spent = 0;

    void at(int step) {
        if (step == unmeasured) from = process_seconds();
        if (step == steps) spent = process_seconds() - from;
    }
    double per_step() {
        auto t = at::full({1}, spent / (steps - unmeasured), at::kDouble);
        ctx.all_reduce(t);
        return t.item<double>();
    }
};

struct meter_part {
    meter* m;
    template <class Info>
    void on_step(Info const& info) { m->at(static_cast<int>(info.step)); }
};

void measure(ps::dist::context& ctx, int argc, char** argv) {
    std::vector<held_batch> batches;
    for (int i = 0; i != 16; ++i) {
        at::manual_seed(static_cast<std::uint64_t>(100 * ctx.rank() + i));
        batches.push_back({at::randn({batch_size, 1, 28, 28}), at::randint(10, {batch_size}, at::kLong), static_cast<double>(batch_size)});
    }
    auto const precision = ps::train::resolve(ps::train::precision::automatic, ctx.device()).precision;
    auto const fresh = [] {
        at::manual_seed(1);
        return fashion_network();
    };
    auto loss = [](auto& net, auto const& b) {
        return ps::train::loss_sum{at::cross_entropy_loss(net->forward(b.image).to(at::kFloat), b.label, {}, at::Reduction::Sum), b.weight()};
    };
    auto by_fit = [&] {
        meter m{ctx};
        auto net = fresh();
        (void)(ps::pipeline(held_source{&batches, steps * accumulate})
               | ps::train::fit(ctx, net, ps::train::adamw(net, {.lr = rate, .weight_decay = 0.05}), loss,
                                {.accumulate = accumulate, .precision = precision,
                                 .schedule = ps::train::warmup(100) * ps::train::cosine(steps), .quiet = true},
                                meter_part{&m}));
        return m.per_step();
    };
    auto by_hand = [&] {
        meter m{ctx};
        auto net = fresh();
        auto group = ctx.world_size() > 1 ? ctx.group() : ps::dist::group_ptr{};
        hand_loop(net, group, [&](int i) -> held_batch const& { return batches[static_cast<std::size_t>(i) % batches.size()]; }, steps, accumulate,
                  precision == ps::train::precision::bf16_mixed, rate, [&](int k) { m.at(k + 1); });
        return m.per_step();
    };
    auto const rounds = bench::interleave({{"fit", by_fit}, {"hand", by_hand}});
    if (ctx.rank() != 0) return;
    bench::report out("fit_over_hand", argc, argv);
    auto const ranks = std::to_string(ctx.world_size()) + (ctx.world_size() == 1 ? "rank" : "ranks");
    out.add({.name = "fit_over_hand_" + ranks, .value = bench::ratio(rounds[0], rounds[1]), .unit = "x", .vs = "hand", .goal = bench::at_most(1.02)});
    out.add({.name = "fit_step_cpu_ms_" + ranks, .value = bench::summary(rounds[0]) * 1e3, .unit = "ms"});
    out.add({.name = "hand_step_cpu_ms_" + ranks, .value = bench::summary(rounds[1]) * 1e3, .unit = "ms"});
    (void)out.finish();
}

}  // namespace

int main(int argc, char** argv) {
    if (!std::getenv("PENSTOCK_BENCH_RANKS")) {  // the outer program: one job per number of ranks
        char const* json = argc > 1 && std::string_view(argv[1]) == "--json" ? " --json" : "";
        for (auto const* ranks : {"1", "2"})
            if (std::system(ps::message("PENSTOCK_BENCH_RANKS=1 '", argv[0], "' --nproc=", ranks, json).c_str()) != 0) return 1;
        return 0;
    }
    return ps::dist::run(argc, argv, [](ps::dist::context& ctx, int count, char** arguments) { measure(ctx, count, arguments); });
}
