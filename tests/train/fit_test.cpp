// Tests: the loop over sources in memory; whole jobs of real processes are in tests/multirank/fit.py.
#include <penstock/train/fit.hpp>

#include <penstock/concurrency/prefetch.hpp>
#include <penstock/core/random.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/interleave.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/steer.hpp>
#include <penstock/stages/take.hpp>
#include <penstock/train/validate.hpp>

#include <support/rank_threads.hpp>
#include <support/temp_dir.hpp>

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace train = penstock::train;

namespace {

struct points {
    at::Tensor x, y;
    std::size_t size() const { return static_cast<std::size_t>(y.size(0)); }
    double weight() const { return weight_of_one * static_cast<double>(size()); }
    double weight_of_one = 1;
};

/// `n` batches of `rows` rows, the same numbers every time; without a known maximum, so that only the packet ends the epoch.
struct batches {
    using item_type = points;
    int n = 8;
    std::int64_t rows = 4;
    double weight_of_one = 1;
    int bad_at = -1;  // this batch holds an infinity
    int at = 0;

    std::optional<points> next() {
        if (at == n) return std::nullopt;
        auto x = at::empty({rows, 3});
        auto* v = x.mutable_data_ptr<float>();
        ps::random_stream random(5, 0, static_cast<std::uint64_t>(at));
        for (std::int64_t i = 0; i != 3 * rows; ++i) v[i] = random.unit() - 0.5f;
        if (at == bad_at) v[0] = std::numeric_limits<float>::infinity();
        ++at;
        return points{x, (x.sum(1) > 0).to(at::kLong), weight_of_one};
    }
    void reset(ps::epoch) { at = 0; }
    void save(ps::state_writer& w) const { w.stage("batches", 1).put("at", static_cast<std::uint64_t>(at)); }
    void load(ps::state_reader& r) { at = static_cast<int>(r.stage("batches", 1).get("at")); }
};

torch::nn::Sequential model() {
    static std::mutex one_at_a_time;  // the generator is the process's
    std::lock_guard lock(one_at_a_time);
    at::manual_seed(3);
    return torch::nn::Sequential(torch::nn::Linear(3, 8), torch::nn::BatchNorm1d(8), torch::nn::Linear(8, 2));
}
auto const loss = [](auto& net, auto const& b) {
    return train::loss_sum{at::cross_entropy_loss(net->forward(b.x), b.y, {}, at::Reduction::Sum) * b.weight_of_one, b.weight()};
};
at::Tensor weights(torch::nn::Sequential const& net) {
    std::vector<at::Tensor> all;
    for (auto const& p : net->parameters()) all.push_back(p.detach().flatten());
    return at::cat(all).clone();
}

/// What on_step saw.
struct listener {
    std::vector<std::size_t>* windows;
    std::vector<double>* rates;
    template <class Info>
    void on_step(Info const& info) {
        windows->push_back(info.batches.size());
        rates->push_back(info.lr);
    }
};

train::fit_options quiet(train::fit_options o) {
    o.quiet = true;
    o.precision = train::precision::fp32;
    o.split = train::data_split::as_it_is;  // ranks hold the same numbers here
    return o;
}

std::string alone(std::function<void(ps::dist::context&)> const& f) { return ps::test::on_ranks(1, f).front(); }

}  // namespace

TEST_CASE("fit: windows, schedule and counters", "[unit][fit]") {
    std::vector<std::size_t> windows;
    std::vector<double> rates;
    train::fit_report report;
    auto const failure = alone([&](ps::dist::context& ctx) {
        auto net = model();
        report = ps::pipeline(batches{.n = 7}) | train::fit(ctx, net, train::sgd(net, {.lr = 0.5}), loss,
                                                            quiet({.epochs = 2, .accumulate = 3, .schedule = [](double t) { return 1 / (t + 1); }}), listener{&windows, &rates});
    });
    CHECK(failure == "");
    CHECK(windows == std::vector<std::size_t>{3, 3, 1, 3, 3, 1});  // the last window of an epoch is short, and is stepped with its own weight
    CHECK(rates == std::vector<double>{0.5, 0.5 / 2, 0.5 / 3, 0.5 / 4, 0.5 / 5, 0.5 / 6});
    CHECK(report.epochs == 2);
    CHECK(report.steps == 6);
    CHECK(report.samples == 2 * 7 * 4);
    CHECK_FALSE(report.stopped);
    CHECK(report.loss > 0);
}

TEST_CASE("fit: ranks with other numbers of batches end the epoch together", "[unit][fit]") {
    std::vector<std::uint64_t> steps(3);
    std::vector<at::Tensor> final(3);
    auto const failures = ps::test::on_ranks(3, [&](ps::dist::context& ctx) {
        auto net = model();
        auto const r = static_cast<std::size_t>(ctx.rank());
        auto const report = ps::pipeline(batches{.n = ctx.rank() * 3}) | train::fit(ctx, net, train::sgd(net, {.lr = 0.1}), loss, quiet({.epochs = 2, .accumulate = 2}));
        steps[r] = report.steps;
        final[r] = weights(net);
    });
    CHECK(failures == ps::test::nothing(3));
    CHECK(steps == std::vector<std::uint64_t>{6, 6, 6});  // rank 2 has 6 batches: 3 windows in each epoch
    CHECK(at::equal(final[0], final[1]));
    CHECK(at::equal(final[0], final[2]));
}

TEST_CASE("fit: a window that weighs nothing is no step", "[unit][fit]") {
    auto net = model();
    auto const before = weights(net);
    train::fit_report report;
    auto const failure = alone([&](ps::dist::context& ctx) {
        report = ps::pipeline(batches{.n = 4, .weight_of_one = 0}) | train::fit(ctx, net, train::sgd(net, {.lr = 0.1}), loss, quiet({}));
    });
    CHECK(failure == "");
    CHECK(report.steps == 4);
    CHECK(report.skipped == 0);
    CHECK(report.weightless == 4);
    CHECK(at::equal(before, weights(net)));
}

TEST_CASE("fit: a loss that is not finite ends the run, or its step", "[unit][fit]") {
    auto net = model();
    auto text = alone([&](ps::dist::context& ctx) {
        (void)(ps::pipeline(batches{.bad_at = 2}) | train::fit(ctx, net, train::sgd(net), loss, quiet({.log_every = 4})));
    });
    CHECK(text.find("inf or NaN at or shortly before step 4") != text.npos);
    CHECK(text.find("HINT") != text.npos);

    train::fit_report report;
    auto good = model();
    text = alone([&](ps::dist::context& ctx) {
        report = ps::pipeline(batches{.bad_at = 2}) | train::fit(ctx, good, train::sgd(good), loss, quiet({.nonfinite = train::nonfinite::skip, .log_every = 4}));
    });
    CHECK(text == "");
    CHECK(report.steps == 8);
    CHECK(report.skipped == 1);
    CHECK(at::isfinite(weights(good)).all().item<bool>());
    CHECK(at::isfinite(good->named_buffers()["1.running_mean"]).all().item<bool>());
}

TEST_CASE("fit: stopped after max_steps, it goes on from its checkpoint", "[unit][fit]") {
    auto const folder = ps::test::temp_dir();
    auto const run = [&](std::uint64_t most, train::resume from, std::string const& name, at::Tensor& out) {
        return alone([&](ps::dist::context& ctx) {
            auto net = model();
            (void)(ps::pipeline(batches{}) | train::fit(ctx, net, train::adamw(net, {.lr = 0.01}), loss,
                                                        quiet({.epochs = 2, .accumulate = 3, .checkpoint = folder.path(name), .resume = from, .max_steps = most})));
            out = weights(net);
        });
    };
    at::Tensor whole, half, rest;
    CHECK(run(0, train::resume::never, "whole", whole) == "");
    CHECK(run(4, train::resume::never, "parts", half) == "");
    CHECK_FALSE(at::equal(whole, half));
    CHECK(run(0, train::resume::required, "parts", rest) == "");
    CHECK(at::equal(whole, rest));

    auto text = run(0, train::resume::required, "nowhere", rest);
    CHECK(text.find("there is none") != text.npos);
}

TEST_CASE("fit: a checkpoint after the last step of an epoch can be resumed", "[unit][fit]") {
    auto const folder = ps::test::temp_dir();
    train::fit_report first, second;
    auto const run = [&](std::uint64_t epochs, std::uint64_t most, train::resume from, train::fit_report& out) {
        return alone([&](ps::dist::context& ctx) {
            auto net = model();
            out = ps::pipeline(batches{}) | train::fit(ctx, net, train::adamw(net, {.lr = 0.01}), loss,
                                                       quiet({.epochs = epochs, .checkpoint = folder.path("run"), .save_every = 4, .keep = 1, .resume = from, .log_every = 4, .max_steps = most}));
        });
    };
    CHECK(run(2, 8, train::resume::never, first) == "");  // 8 batches: the limit falls on the epoch's edge, which is taken first
    CHECK(first.epochs == 1);
    CHECK(first.stopped);
    CHECK(run(2, 0, train::resume::required, second) == "");
    CHECK(second.steps == 16);
    CHECK(run(2, 0, train::resume::required, second) == "");  // nothing left to train
    CHECK(second.steps == 16);
    CHECK(std::isnan(second.last("accuracy")));
    CHECK(run(2, 0, train::resume::never, second).find("holds checkpoints of an earlier run") != std::string::npos);
}

TEST_CASE("fit: weights spoiled by a loss that is not finite are not saved", "[unit][fit]") {
    auto const folder = ps::test::temp_dir();
    auto const text = alone([&](ps::dist::context& ctx) {
        auto net = model();
        (void)(ps::pipeline(batches{.bad_at = 3}) | train::fit(ctx, net, train::sgd(net), loss, quiet({.checkpoint = folder.path("run"), .save_every = 2, .log_every = 100})));
    });
    CHECK(text.find("inf or NaN at or shortly before step 4") != text.npos);
    CHECK(train::list_checkpoints(folder.path("run")).front().step == 2);
}

TEST_CASE("fit: ranks with other options are refused", "[unit][fit]") {
    auto const failures = ps::test::on_ranks(2, [&](ps::dist::context& ctx) {
        auto net = model();
        (void)(ps::pipeline(batches{}) | train::fit(ctx, net, train::sgd(net), loss, quiet({.seed = static_cast<std::uint64_t>(ctx.rank())})));
    });
    CHECK(failures[0].find("fit: all ranks must have the same .seed, got '0' on rank 0, '1' on rank 1") == 0);
    CHECK(failures[1] == failures[0]);
}

TEST_CASE("fit: a source that cannot be rewound, or holds nothing, is named", "[unit][fit]") {
    auto const text = alone([&](ps::dist::context& ctx) {
        auto net = model();
        (void)(ps::pipeline(batches{.n = 0}) | train::fit(ctx, net, train::sgd(net), loss, quiet({})));
    });
    CHECK(text.find("no rank has a sample in epoch 1") != text.npos);
}

TEST_CASE("fit: parts that were put into evaluation mode stay there, and are told; a whole model is put into training", "[unit][fit]") {
    for (bool const whole : {false, true}) {
        auto net = model();
        auto const before = net->named_buffers()["1.running_mean"].clone();
        if (whole) net->eval();
        else net[1]->eval();
        train::fit_report report;
        CHECK(alone([&](ps::dist::context& ctx) { report = ps::pipeline(batches{}) | train::fit(ctx, net, train::sgd(net, {.lr = 0.5}), loss, quiet({.epochs = 1})); }) == "");
        CHECK(net->is_training());
        CHECK(net[1]->is_training() == whole);
        CHECK(at::equal(net->named_buffers()["1.running_mean"], before) == !whole);
        CHECK(report.warnings == (whole ? std::vector<std::string>{} : std::vector<std::string>{"'1' stays in evaluation mode, as given; model->train() before fit is for the whole model"}));
    }
}

TEST_CASE("validate: every sample counts once, and training goes on as before", "[unit][fit]") {
    std::vector<train::metric_values> seen(2);
    std::vector<bool> training, kept;
    std::mutex lock;
    auto const failures = ps::test::on_ranks(2, [&](ps::dist::context& ctx) {
        auto net = model();
        auto const mine = at::full({8}, static_cast<double>(ctx.rank()), at::kFloat);
        net->named_buffers()["1.running_mean"].copy_(mine);
        auto data = ps::pipeline(batches{.n = ctx.rank() == 1 ? 5 : 0});  // rank 0 has nothing to validate on
        auto metrics = [](auto&, auto const& b) {
            return std::vector<train::metric>{{"share", at::ones({}) * static_cast<double>(b.size()), static_cast<double>(b.size())}, {"positive", (b.y == 1).sum(), b.weight()}};
        };
        auto const values = train::evaluate(ctx, data, net, metrics, train::precision::fp32);
        std::lock_guard guard(lock);
        seen[static_cast<std::size_t>(ctx.rank())] = values;
        training.push_back(net->is_training());
        kept.push_back(at::equal(net->named_buffers()["1.running_mean"], mine));
    });
    CHECK(failures == ps::test::nothing(2));
    CHECK(seen[0].size() == 2);
    CHECK(seen[0][0].second == 1.0);
    CHECK((seen[0][1].second > 0 && seen[0][1].second < 1));
    CHECK(seen[0][0].first == "share");
    CHECK(seen[0][1].first == "positive");
    CHECK(seen[1].size() == 2);
    CHECK(seen[1][1].second == seen[0][1].second);
    CHECK(training == std::vector<bool>{true, true});
    CHECK(kept == std::vector<bool>{true, true});
}

TEST_CASE("fit: bad options are named", "[unit][fit]") {
    auto const text = [](train::fit_options const& o) {
        return alone([&](ps::dist::context& ctx) {
            auto net = model();
            (void)(ps::pipeline(batches{}) | train::fit(ctx, net, train::sgd(net), loss, o));
        });
    };
    CHECK(text({.epochs = 0}).find(".epochs must be >= 1, got 0") != std::string::npos);
    CHECK(text({.accumulate = 0}).find(".accumulate must be >= 1, got 0") != std::string::npos);
    CHECK(text({.clip_norm = -1}).find(".clip_norm must be >= 0, got -1") != std::string::npos);
    CHECK(text({.save_every = 5}).find("HINT: .checkpoint") != std::string::npos);
    CHECK(text({.log_every = 0}).find(".log_every must be >= 1") != std::string::npos);
}

namespace {

/// A model of one weight over batches of integers, and what its steps were made of.
auto const summed = [](auto& net, auto const& b) {
    auto x = at::empty({static_cast<std::int64_t>(b.size()), 1});
    for (std::size_t i = 0; i != b.size(); ++i) x.mutable_data_ptr<float>()[i] = static_cast<float>(b.items[i] % 7);
    return train::loss_sum{net->forward(x).sum(), b.weight()};
};
struct recorder {
    std::vector<std::vector<std::int64_t>>* steps;
    template <class Info>
    void on_step(Info const& info) {
        auto& now = steps->emplace_back();
        for (auto const& b : info.batches) now.insert(now.end(), b.items.begin(), b.items.end());
    }
};
using steps_of = std::vector<std::vector<std::int64_t>>;

}  // namespace

TEST_CASE("fit: what feedback returns after step k holds on every rank from step k + 3 on, over epochs and over a resume at any step", "[unit][fit]") {
    auto const folder = ps::test::temp_dir();
    auto const run = [&](int ranks, std::int64_t ahead, std::uint64_t most, std::string const& name) {
        std::vector<steps_of> seen(static_cast<std::size_t>(ranks));
        std::vector<int> asked(static_cast<std::size_t>(ranks), 0);
        auto const failures = ps::test::on_ranks(ranks, [&](ps::dist::context& ctx) {
            auto const r = static_cast<std::size_t>(ctx.rank());
            torch::nn::Linear net(1, 1);
            ps::control<int> level("level", 0);
            auto const ask = [&, r](auto const& info) -> std::optional<int> {
                ++asked[r];
                switch (info.step) {
                    case 2: return 1;
                    case 5: return 2;
                    case 6: return 3;
                    case 11: return 4;
                    case 12: return 5;
                    case 18: return 6;
                    default: return std::nullopt;
                }
            };
            auto data = ps::range(48) | ps::steer(level, [](int now, std::int64_t i) { return i + 1000 * now; }) | ps::batch(2) | ps::prefetch(ahead);
            (void)(std::move(data) | train::fit(ctx, net, train::sgd(net), summed,
                                                quiet({.epochs = 2, .accumulate = 2, .checkpoint = name.empty() ? "" : folder.path(name), .save_every = name.empty() ? 0u : 1u, .resume = name.empty() ? train::resume::never : train::resume::if_possible, .max_steps = most}),
                                                recorder{&seen[r]}, train::feedback(level, ask)));
        });
        CHECK(failures == ps::test::nothing(static_cast<int>(ranks)));
        CHECK(asked[0] == static_cast<int>(seen[0].size()));
        if (ranks == 2) {
            CHECK(asked[1] == 0);
            CHECK(seen[0] == seen[1]);
        }
        return seen[0];
    };
    steps_of wanted;
    for (std::int64_t k = 0; k != 24; ++k) {
        std::int64_t const level = k >= 20 ? 6 : k >= 12 ? 5 : k >= 8 ? 3 : k >= 7 ? 2 : k >= 4 ? 1 : 0;  // step k + 1; 4 and 5 are both heard at the epoch's edge
        auto& now = wanted.emplace_back();
        for (std::int64_t i = 0; i != 4; ++i) now.push_back(4 * (k % 12) + i + 1000 * level);
    }
    CHECK(run(1, 1, 0, "") == wanted);
    CHECK(run(1, 20, 0, "") == wanted);
    CHECK(run(2, 20, 0, "") == wanted);
    for (std::uint64_t stop = 1; stop != 24; ++stop) {
        auto const name = "stop" + std::to_string(stop);
        auto all = run(1, 3, stop, name);
        auto const rest = run(1, 3, 0, name);
        all.insert(all.end(), rest.begin(), rest.end());
        CHECK(all == wanted);
    }
}

TEST_CASE("fit: feedback of other controls than the checkpoint's is refused", "[unit][fit]") {
    auto const folder = ps::test::temp_dir();
    auto const run = [&](bool swapped, std::uint64_t most) {
        return alone([&](ps::dist::context& ctx) {
            torch::nn::Linear net(1, 1);
            ps::control<int> a("a", 0), b("b", 0);
            auto const add = [](int now, std::int64_t i) { return i + now; };
            auto const never = [](auto const&) -> std::optional<int> { return std::nullopt; };
            (void)(ps::range(48) | ps::steer(a, add) | ps::steer(b, add) | ps::batch(2) |
                   train::fit(ctx, net, train::sgd(net), summed, quiet({.checkpoint = folder.path("run"), .resume = train::resume::if_possible, .max_steps = most}), train::feedback(swapped ? b : a, never),
                              train::feedback(swapped ? a : b, never)));
        });
    };
    CHECK(run(false, 3) == "");
    auto const text = run(true, 6);
    CHECK(text.find("feedback of the controls 'a b', this run has 'b a'\n  HINT: ") != text.npos);
    CHECK(train::feedback_position::parse("1 a 7 0 0 2 9").text() == "1 a 7 0 0 2 9");
    CHECK_THROWS_AS(train::feedback_position::parse("1 a"), ps::state_error);
    CHECK_THROWS_AS(train::feedback_position::parse("0 2"), ps::state_error);
}

TEST_CASE("fit: feedback of a control that no stage reads is named", "[unit][fit]") {
    auto const text = alone([&](ps::dist::context& ctx) {
        torch::nn::Linear net(1, 1);
        ps::control<int> level("level", 0), other("other", 0);
        auto data = ps::range(48) | ps::steer(level, [](int now, std::int64_t i) { return i + now; }) | ps::batch(2);
        (void)(std::move(data) | train::fit(ctx, net, train::sgd(net), summed, quiet({}), train::feedback(other, [](auto const&) { return std::optional(1); })));
    });
    CHECK(text.find("no stage of this chain reads the control 'other'\n  HINT: ") != text.npos);
}

TEST_CASE("fit: a mix that goes on over the edge of an epoch goes on over a resume there too", "[unit][fit]") {
    auto const folder = ps::test::temp_dir();
    auto const run = [&](std::uint64_t most, train::resume from, std::string const& name) {
        steps_of seen;
        CHECK(alone([&](ps::dist::context& ctx) {
                  torch::nn::Linear net(1, 1);
                  auto data = ps::interleave({.stop = ps::stop_rule::all_restart}, ps::named("long", 1, ps::range(11) | ps::shuffle(4) | ps::batch(1)),
                                             ps::named("short", 1, ps::range(4) | ps::map([](std::int64_t i) { return i + 100; }) | ps::shuffle(2) | ps::batch(1))) |
                              ps::prefetch(3);
                  (void)(std::move(data) | train::fit(ctx, net, train::sgd(net), summed, quiet({.epochs = 3, .checkpoint = folder.path(name), .save_every = 1, .resume = from, .max_steps = most}), recorder{&seen}));
              }) == "");
        return seen;
    };
    auto const whole = run(0, train::resume::never, "whole");
    auto const epoch = whole.size() / 3;
    for (auto const stop : {epoch - 1, epoch, epoch + 1, 2 * epoch}) {
        auto const name = "stop" + std::to_string(stop);
        auto all = run(stop, train::resume::never, name);
        auto const rest = run(0, train::resume::required, name);
        all.insert(all.end(), rest.begin(), rest.end());
        CHECK(all == whole);
    }
}

namespace {

/// Batches of a source that has counted its data itself.
struct counting : batches {
    std::uint64_t counted = 7;
    void reset(ps::epoch e) {
        if (e.claims) ++*e.claims;
        at = 0;
    }
    void save(ps::state_writer& w) const {
        w.stage("counting", 1).put("at", static_cast<std::uint64_t>(at));
        w.counted_branch("counted").stage("counting", 1).identify("samples", counted);
    }
    void load(ps::state_reader& r) {
        at = static_cast<int>(r.stage("counting", 1).get("at"));
        (void)r.branch("counted").stage("counting", 1);
    }
};

}  // namespace

TEST_CASE("fit: what was used of an epoch is not continued over data that is counted otherwise now", "[unit][fit]") {
    auto const folder = ps::test::temp_dir();
    auto const run = [&](std::uint64_t counted, train::resume from, std::uint64_t most) {
        return alone([&](ps::dist::context& ctx) {
            auto net = model();
            counting source;
            source.counted = counted;
            (void)(ps::pipeline(source) | train::fit(ctx, net, train::sgd(net), loss, quiet({.checkpoint = folder.path("run"), .resume = from, .max_steps = most})));
        });
    };
    CHECK(run(7, train::resume::never, 3) == "");
    auto const text = run(8, train::resume::ledger, 5);
    CHECK(text.find("was saved over counted/counting samples=7, the data is now counted/counting samples=8") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    CHECK(run(7, train::resume::ledger, 5) == "");
}
