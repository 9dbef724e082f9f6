// Tests: nothing of a run is lost or left unsaid: saved before metrics run, sinks that break, two runs in one folder, counts of what was skipped.
#include <penstock/train/fit.hpp>

#include <penstock/formats/read_tar.hpp>
#include <penstock/sources/permuted.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/on_error.hpp>
#include <penstock/tensor/to_device.hpp>
#include <penstock/train/folder_lock.hpp>
#include <penstock/train/validate.hpp>

#include <support/rank_threads.hpp>
#include <support/tar_maker.hpp>

#include "files.hpp"

#include <torch/nn/modules/linear.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <support/catch.hpp>

namespace ps = penstock;
namespace train = penstock::train;
using test::has;

namespace {

auto const loss = [](auto& net, auto const& b) { return (net->forward(b.data) - 2).square().mean(); };
auto numbers(ps::dist::context& ctx, std::int64_t n, std::int64_t rows) {
    return ps::range(n) | ps::map([n](std::int64_t i) { return std::array<float, 1>{static_cast<float>(i) / static_cast<float>(n)}; }) | ps::batch(rows) | ps::to_device(ctx);
}
torch::nn::Linear line() {
    torch::nn::Linear net(1, 1);
    at::NoGradGuard off;
    for (auto& p : net->parameters()) p.fill_(0.5);
    return net;
}
train::fit_options options(train::fit_options o) {
    o.precision = train::precision::fp32;
    o.split = train::data_split::as_it_is;  // ranks hold the same numbers here, or numbers of their own
    return o;
}
std::string alone(std::function<void(ps::dist::context&)> const& f) { return ps::test::on_ranks(1, f).front(); }

/// What f prints, on stdout and stderr.
std::string printed(std::function<void()> const& f) {
    test::scratch dir;
    std::fflush(nullptr);
    int const file = ::open((dir / "out").c_str(), O_RDWR | O_CREAT | O_APPEND, 0600), out = ::dup(1), err = ::dup(2);
    ::dup2(file, 1);
    ::dup2(file, 2);
    f();
    std::fflush(nullptr);
    ::dup2(out, 1);
    ::dup2(err, 2);
    for (int fd : {file, out, err}) ::close(fd);
    return test::slurp(dir / "out");
}
std::string last_line(std::string const& text, std::string const& with) {
    auto const at = text.rfind(with);
    if (at == text.npos) {  // an empty line holds nothing that is looked for
        FAIL_CHECK("no '" + with + "' in:\n" + text);
        return {};
    }
    auto const from = text.rfind('\n', at) + 1;
    return text.substr(from, text.find('\n', at) - from);
}

template <class F>
struct after_step {
    F f;
    template <class Info>
    void on_step(Info const& info) {
        f(info.step);
    }
};
template <class F>
after_step(F) -> after_step<F>;

struct until {
    std::uint64_t last, seen = 0;
    void on_step(auto const& info) { seen = info.step; }
    bool wants_to_stop() { return seen >= last; }
};
struct at_once {
    bool wants_to_stop() const { return true; }
};

template <class Image, class Label>
struct example {
    Image image;
    Label label;
};
/// What a torch::jit::Module looks like to a template, without its header.
struct scripted {
    void forward(int);
    std::vector<at::Tensor> named_parameters() const;
};

// One sentence instead of the compiler's pages: to_device was forgotten; the model is none that can be trained; a metric is no metric.
static_assert(train::detail::still_on_host<ps::batch_of<example<float, int>>>);
static_assert(train::detail::still_on_host<ps::batch_of<ps::fields>>);
static_assert(!train::detail::still_on_host<ps::batch_of<int>>);  // the loss makes its own tensors
static_assert(!train::detail::still_on_host<ps::device_batch<example<at::Tensor, at::Tensor>>>);
static_assert(!train::detail::trainable_model<scripted> && !train::detail::trainable_model<int>);
static_assert(train::detail::trainable_model<torch::nn::Linear> && train::detail::trainable_model<torch::nn::LinearImpl> && train::detail::trainable_model<std::shared_ptr<torch::nn::Module>>);
static_assert(!train::detail::metric_range<double> && !train::detail::metric_range<train::metric> && !train::detail::metric_range<std::vector<double>>);
static_assert(train::detail::metric_range<std::vector<train::metric>> && train::detail::metric_range<std::array<train::metric, 1>>);

}  // namespace

TEST_CASE("fit: a metric that fails loses nothing: the epoch is saved, and the next run validates it first", "[unit][fit_safety]") {
    test::scratch dir;
    bool broken = true;
    int steps = 0;
    std::string run_name = "run";
    auto const run = [&](train::resume from, train::fit_report& out, at::Tensor& weight) {
        return alone([&](ps::dist::context& ctx) {
            auto net = line();
            auto metric = [&](auto&, auto const& b) {
                if (broken && steps == 8) throw std::runtime_error("division of a cat by a dog");
                return std::array{train::metric{"rows", static_cast<double>(b.size()), 1}};
            };
            out = numbers(ctx, 16, 4) | train::fit(ctx, net, train::sgd(net, {.lr = 0.1}), loss,
                                                   options({.epochs = 3, .checkpoint = (dir / run_name).string(), .resume = from, .csv = (dir / (run_name + ".csv")).string(), .quiet = true}),
                                                   train::validate(numbers(ctx, 8, 4), metric), after_step{[&](std::uint64_t) { ++steps; }});
            weight = net->weight.detach().clone();
        });
    };
    train::fit_report first, second;
    at::Tensor weight, whole;
    CHECK(has(run(train::resume::never, first, weight), "division of a cat by a dog"));  // in epoch 2
    auto const newest = train::list_checkpoints(dir / "run").front();
    CHECK(newest.step == 8);
    CHECK(newest.about->epoch == 2);
    CHECK(newest.about->metadata.at("parts_due") == "1");
    broken = false;
    CHECK(run(train::resume::required, second, weight) == "");
    CHECK(steps == 12);  // the epoch was not trained again
    CHECK(second.history.size() == 2);  // of epochs 2 and 3
    CHECK(train::list_checkpoints(dir / "run").front().about->metadata.at("parts_due") == "0");
    CHECK(test::slurp(dir / "run.csv.epochs.csv") == "step,epoch,rows\n4,1,4\n8,2,4\n12,3,4\n");

    steps = -100;
    run_name = "whole";
    CHECK(run(train::resume::never, first, whole) == "");
    CHECK(at::equal(weight, whole));
}

TEST_CASE("fit: a signal ends a validation between two batches; the resumed run validates first", "[unit][fit_safety]") {
    for (int world : {1, 2}) {
        test::scratch dir;
        std::array<int, 2> measured{}, epochs{};
        bool signal = true;
        auto const run = [&](train::resume from) {
            train::fit_report report;
            train::stop_signals caught;  // ranks that are threads leave that to their process
            CHECK(ps::test::on_ranks(world, [&](ps::dist::context& ctx) {
                      auto const rank = static_cast<std::size_t>(ctx.rank());
                      auto net = line();
                      auto metric = [&](auto&, auto const& b) {
                          if (++measured[rank] == 3 && signal && ctx.rank() == world - 1) ::raise(SIGTERM);
                          return train::metric{"rows", static_cast<double>(b.size()), 1};
                      };
                      auto r = numbers(ctx, 8, 4) | train::fit(ctx, net, train::sgd(net), loss, options({.epochs = 2, .checkpoint = (dir / "run").string(), .resume = from, .quiet = true}),
                                                               train::validate(numbers(ctx, 40, 4), metric, {.split = train::data_split::as_it_is}),
                                                               train::validate(numbers(ctx, 4 * (1 + ctx.rank()), 4), metric, {.split = train::data_split::as_it_is}));
                      epochs[rank] = static_cast<int>(r.epochs);
                      if (ctx.rank() == 0) report = r;
                  }) == ps::test::nothing(world));
            return report;
        };
        auto const first = run(train::resume::never);
        CHECK((first.stopped && first.signal == SIGTERM && first.history.empty() && epochs[0] == 1));
        CHECK(measured[static_cast<std::size_t>(world - 1)] < 6);  // of 10 batches
        signal = false;
        measured = {};
        auto const second = run(train::resume::required);
        CHECK((!second.stopped && second.signal == 0 && second.history.size() == 2 && epochs[0] == 2));
        CHECK((second.history[0].size() == 2 && second.history[0][0] == std::pair<std::string, double>{"rows", 4}));
        CHECK((measured[0] == 22 && (world == 1 || measured[1] == 24)));  // the ranks need not have equally many batches
        CHECK(second.steps == 4);
    }
}

TEST_CASE("fit: a part of one rank may ask for a stop", "[unit][fit_safety]") {
    for (int world : {1, 2}) {
        test::scratch dir;
        auto const stopped_at = [&](std::uint64_t last) {
            train::fit_report report;
            CHECK(ps::test::on_ranks(world, [&](ps::dist::context& ctx) {
                      auto net = line();
                      auto r = numbers(ctx, 16, 4) | train::fit(ctx, net, train::sgd(net), loss, options({.epochs = 3, .checkpoint = (dir / std::to_string(last)).string(), .quiet = true}),
                                                                until{ctx.rank() == 0 ? last : 1000});
                      if (ctx.rank() == 0) report = r;
                  }) == ps::test::nothing(world));
            CHECK((report.stopped == (last <= 12) && report.signal == 0));
            return report.steps;
        };
        CHECK(stopped_at(2) == 3);  // its packet was under way when step 2 was done
        CHECK(train::list_checkpoints(dir / "2").front().step == 3);
        CHECK(stopped_at(7) == 8);
        CHECK(stopped_at(13) == 12);
        CHECK(ps::test::on_ranks(world, [&](ps::dist::context& ctx) {
                  auto net = line();
                  CHECK((numbers(ctx, 16, 4) | train::fit(ctx, net, train::sgd(net), loss, options({.quiet = true}), at_once{})).steps == 0);
              }) == ps::test::nothing(world));
    }
}

TEST_CASE("fit: a checkpoint at an epoch's edge is there while its metrics are computed", "[unit][fit_safety]") {
    test::scratch dir;
    std::vector<std::uint64_t> newest;
    CHECK(alone([&](ps::dist::context& ctx) {
              auto net = line();
              auto look = [&](auto&, auto const& b) {
                  newest.push_back(train::list_checkpoints(dir / "run").front().step);
                  return std::array{train::metric{"rows", static_cast<double>(b.size()), 1}};
              };
              (void)(numbers(ctx, 8, 4) | train::fit(ctx, net, train::sgd(net), loss, options({.epochs = 4, .checkpoint = (dir / "run").string(), .quiet = true}), train::validate(numbers(ctx, 4, 4), look, {.every = 2})));
          }) == "");
    CHECK(newest == std::vector<std::uint64_t>{4, 8});
}

TEST_CASE("fit: a metric that is new in a later epoch gets its column", "[unit][fit_safety]") {
    test::scratch dir;
    int epoch = 0;
    CHECK(alone([&](ps::dist::context& ctx) {
              auto net = line();
              auto more = [&](auto&, auto const&) {
                  ++epoch;
                  std::vector<train::metric> all{{"mae", at::full({}, 0.5), 1}};
                  if (epoch == 2) all.push_back({"f1", 0.25, 1});
                  return all;
              };
              (void)(numbers(ctx, 8, 4) | train::fit(ctx, net, train::sgd(net), loss, options({.epochs = 2, .csv = (dir / "m.csv").string(), .quiet = true}), train::validate(numbers(ctx, 4, 4), more)));
          }) == "");
    CHECK(test::slurp(dir / "m.csv.epochs.csv") == "step,epoch,mae,f1\n2,1,0.5,\n4,2,0.5,0.25\n");
}

TEST_CASE("fit: a file of metrics that breaks is told once, and the run goes on", "[unit][fit_safety]") {
    test::scratch dir;
    train::fit_report report;
    auto const run = [&] {
        return alone([&](ps::dist::context& ctx) {
            auto net = line();
            auto rows = [](auto&, auto const& b) { return std::array{train::metric{"rows", static_cast<double>(b.size()), 1}}; };
            auto in_the_way = [&](std::uint64_t step) {
                if (step == 1) test::fs::create_directories(dir / "m.csv.epochs.csv/precious");
            };
            report = numbers(ctx, 8, 4) | train::fit(ctx, net, train::sgd(net), loss,
                                                     options({.epochs = 3, .checkpoint = (dir / "run").string(), .csv = (dir / "m.csv").string(), .quiet = true}),
                                                     train::validate(numbers(ctx, 4, 4), rows), after_step{in_the_way});
        });
    };
    std::string failure;
    auto const text = printed([&] { failure = run(); });
    CHECK(failure == "");
    CHECK(report.steps == 6);
    CHECK(train::list_checkpoints(dir / "run").front().step == 6);
    REQUIRE(report.warnings.size() == 2);
    CHECK(has(report.warnings[0], "metrics are not written: csv_log(" + (dir / "m.csv.epochs.csv").string() + "): it must be a file of metrics"));
    CHECK(has(report.warnings[1], "3 rows of metrics did not reach '"));
    CHECK(has(text, "penstock: warning: metrics are not written: "));  // also when the run is quiet
    CHECK(test::fs::exists(dir / "m.csv.epochs.csv/precious"));
}

TEST_CASE("fit: a part hears of every row of metrics on rank 0, and what it throws is told once and ends nothing", "[unit][fit_safety]") {
    struct sink {
        std::vector<train::metrics_row>* rows;
        bool broken;
        void on_metrics(train::metrics_row const& row) {
            rows->push_back(row);
            if (broken) throw std::runtime_error("the disk is full of cats");
        }
    };
    for (int world : {1, 2})
        for (bool broken : {false, true}) {
            test::scratch dir;
            std::array<std::vector<train::metrics_row>, 2> rows;
            train::fit_report report;
            CHECK(ps::test::on_ranks(world, [&](ps::dist::context& ctx) {
                      auto net = line();
                      auto metric = [](auto&, auto const& b) { return train::metric{"rows", static_cast<double>(b.size()), 1}; };
                      auto r = numbers(ctx, 16, 4) | train::fit(ctx, net, train::sgd(net), loss, options({.epochs = 2, .log_every = 2, .csv = (dir / "m.csv").string(), .quiet = true}),
                                                                train::validate(numbers(ctx, 8, 4), metric, {.split = train::data_split::as_it_is}), sink{&rows[static_cast<std::size_t>(ctx.rank())], broken});
                      if (ctx.rank() == 0) report = r;
                  }) == ps::test::nothing(world));
            CHECK(rows[1].empty());
            std::vector<std::array<std::uint64_t, 3>> got;
            for (auto const& row : rows[0]) got.push_back({row.step, row.epoch, row.part});
            CHECK((got == std::vector<std::array<std::uint64_t, 3>>{{2, 0, 0}, {4, 0, 0}, {4, 1, 1}, {6, 1, 0}, {8, 1, 0}, {8, 2, 1}}));
            REQUIRE(rows[0].size() == 6);
            CHECK(rows[0][0].values[1].first == "loss");
            CHECK(rows[0][2].values == train::metric_values{{"rows", 4}});
            CHECK(report.warnings.size() == (broken ? 1 : 0));
            if (broken) CHECK(has(report.warnings.front(), "on_metrics failed: the disk is full of cats"));
            CHECK(test::slurp(dir / "m.csv.epochs.csv") == "step,epoch,rows\n4,1,4\n8,2,4\n");
        }
}

TEST_CASE("fit: a .csv that names a folder is refused before the first step", "[unit][fit_safety]") {
    test::scratch dir;
    for (auto const* name : {"results", "m.csv.epochs.csv"}) {
        test::fs::create_directories(dir / name / "old-run");
        int steps = 0;
        auto const text = alone([&](ps::dist::context& ctx) {
            auto net = line();
            auto none = [](auto&, auto const&) { return std::vector<train::metric>{}; };
            (void)(numbers(ctx, 8, 4) | train::fit(ctx, net, train::sgd(net), loss, options({.csv = (dir / (name[0] == 'r' ? name : "m.csv")).string(), .quiet = true}), train::validate(numbers(ctx, 4, 4), none),
                                                   after_step{[&](std::uint64_t) { ++steps; }}));
        });
        CHECK(has(text, std::string(name) + "): it must be a file of metrics, or not there; it is a folder"));
        CHECK(steps == 0);
        CHECK(test::fs::exists(dir / name / "old-run"));
    }
}

TEST_CASE("fit: a second run in the folder of one that lives is refused", "[unit][fit_safety]") {
    test::scratch dir;
    std::string second;
    auto const run = [&](auto at_step) {
        return alone([&](ps::dist::context& ctx) {
            auto net = line();
            (void)(numbers(ctx, 8, 4) | train::fit(ctx, net, train::sgd(net), loss, options({.checkpoint = (dir / "run").string(), .resume = train::resume::if_possible, .quiet = true}), after_step{at_step}));
        });
    };
    auto const nothing = [](std::uint64_t) {};
    CHECK(run([&](std::uint64_t step) {
              if (step == 1) second = run(nothing);
          }) == "");
    CHECK(has(second, "another run is writing into '" + (dir / "run").string() + "' (host-process "));
    CHECK(has(second, "HINT: "));
    CHECK(run(nothing) == "");  // the first one has ended
}

TEST_CASE("fit: a folder that must hold a checkpoint and is not there is not made; one that is a file is left alone", "[unit][fit_safety]") {
    test::scratch dir;
    auto const run = [&](char const* name, train::resume from) {
        return alone([&](ps::dist::context& ctx) {
            auto net = line();
            (void)(numbers(ctx, 8, 4) | train::fit(ctx, net, train::sgd(net), loss, options({.checkpoint = (dir / name).string(), .resume = from, .quiet = true})));
        });
    };
    for (auto const from : {train::resume::required, train::resume::ledger}) {
        auto const text = run("nowhere", from);
        CHECK(has(text, "fit: .resume needs a checkpoint, there is none in '" + (dir / "nowhere").string() + "'\n  HINT: look at the name"));
        CHECK(!test::fs::exists(dir / "nowhere"));
    }
    std::ofstream(dir / "file") << "mine";
    CHECK(has(run("file", train::resume::if_possible), "fit: .checkpoint must be a folder, or not there; '" + (dir / "file").string() + "' is a file\n  HINT: "));
    CHECK(test::fs::file_size(dir / "file") == 4);
}

TEST_CASE("fit: a folder of checkpoints that is moved away in mid-run is made anew, and told; one that another run took is left to it", "[unit][fit_safety]") {
    test::scratch dir;
    std::string failed;
    auto const run = [&](auto at_step) {
        return printed([&] {
            failed = alone([&](ps::dist::context& ctx) {
                auto net = line();
                (void)(numbers(ctx, 8, 4) | train::fit(ctx, net, train::sgd(net), loss, options({.checkpoint = (dir / "run").string(), .save_every = 1}), after_step{at_step}));
            });
        });
    };
    auto const away = [&](std::uint64_t step) {
        if (step == 1) test::fs::rename(dir / "run", dir / "moved");
    };
    CHECK(has(run(away), "'" + (dir / "run").string() + "' was removed or moved away in mid-run: it is made anew"));
    CHECK(failed == "");
    CHECK(test::fs::exists(dir / "run" / ".lock"));
    test::fs::remove_all(dir / "run");
    test::fs::remove_all(dir / "moved");
    std::optional<train::folder_lock> other;
    (void)run([&](std::uint64_t step) {
        away(step);
        if (step == 1) other.emplace(dir / "run");
    });
    CHECK(has(failed, "another run is writing into '"));
}

TEST_CASE("fit: the last line shows the loss of the last steps, and the line of an epoch its mean", "[unit][fit_safety]") {
    train::fit_report report;
    auto const text = printed([&] {
        int call = 0;
        auto counting = [&](auto& net, auto const& b) { return net->forward(b.data).mean() * 0 + static_cast<double>(++call); };  // 1, 2, ... 10
        CHECK(alone([&](ps::dist::context& ctx) {
                  auto net = line();
                  report = numbers(ctx, 5, 1) | train::fit(ctx, net, train::sgd(net, {.lr = 1e-4}), counting, options({.epochs = 2, .log_every = 3}));
              }) == "");
    });
    CHECK(report.loss == 10);  // step 10 alone: losses are added up at the steps 3, 6, 9 and at the epochs' ends
    CHECK(has(last_line(text, "epoch 1/2"), "  loss 3  "));
    CHECK(has(last_line(text, "epoch 2/2  loss"), "  loss 8  "));
    CHECK(has(last_line(text, "epoch 2/2  step 5"), "  loss 10  "));
    auto const stopped = printed([&] {
        int call = 0;
        auto counting = [&](auto& net, auto const& b) { return net->forward(b.data).mean() * 0 + static_cast<double>(++call); };
        CHECK(alone([&](ps::dist::context& ctx) {
                  auto net = line();
                  report = numbers(ctx, 5, 1) | train::fit(ctx, net, train::sgd(net, {.lr = 1e-4}), counting, options({.epochs = 2, .log_every = 3, .max_steps = 5}));
              }) == "");
    });
    CHECK(report.loss == 4.5);
}

TEST_CASE("fit: samples that on_error left out and steps that were skipped are in the lines, the table and the report", "[unit][fit_safety]") {
    for (int world : {1, 2}) {
        train::fit_report report;
        auto const text = printed([&] {
            CHECK(ps::test::on_ranks(world, [&](ps::dist::context& ctx) {
                      auto net = line();
                      auto make = [](std::int64_t i) {
                          if (i % 10 == 3) throw std::runtime_error("cut short");
                          return std::array<float, 1>{static_cast<float>(i)};
                      };
                      int step = 0;
                      auto bad = [&](auto& n, auto const& b) {
                          ++step;
                          return n->forward(b.data).mean() + (step == 2 && ctx.rank() == 0 ? std::numeric_limits<double>::quiet_NaN() : 0.0);
                      };
                      auto const prepare = ps::map(make) | ps::on_error(ps::skips{.total = 5, .user = true}) | ps::batch(9) | ps::to_device(ctx);
                      auto nothing = [](auto&, auto const&) { return std::vector<train::metric>{}; };
                      auto r = ps::range(40) | prepare | train::fit(ctx, net, train::sgd(net, {.lr = 1e-5}), bad, options({.epochs = 2, .nonfinite = train::nonfinite::skip}),
                                                                    train::validate(ps::range(10) | prepare, nothing, {.split = train::data_split::as_it_is}));
                      if (ctx.rank() == 0) report = r;
                  }) == ps::test::nothing(world));
        });
        CHECK(report.left_out == static_cast<std::uint64_t>(2 * 5 * world));  // 4 in training and 1 in validation, in two epochs
        CHECK(report.skipped == 1);
        CHECK(report.weightless == 2);  // the fifth batch of each epoch is empty
        auto const samples = [world](int n) { return std::to_string(n * world) + " samples"; };
        CHECK(has(last_line(text, "epoch 1/2  loss"), "  1 step skipped  1 step without weight  " + samples(5) + " left out"));
        CHECK(has(last_line(text, "epoch 2/2  loss"), "  1 step skipped  2 steps without weight  " + samples(10) + " left out"));
        CHECK(has(text, "  left out  " + samples(10) + "\n"));
        CHECK(has(text, " (1 skipped, 2 without weight)"));
    }
}

TEST_CASE("fit: what read_tar was allowed to leave out of shards is in the lines, the table and the report", "[unit][fit_safety]") {
    test::scratch dir;
    auto const shard = (dir / "s.tar").string();
    std::ofstream(shard, std::ios::binary) << ps::test::tar_maker{}.add("a.x", "1").add("a.y", "", '2').add("b.x", "2").add("c.x", "3").add("README", "r").add("d.x", "4").end().bytes;
    for (int world : {1, 2}) {
        train::fit_report report;
        auto const text = printed([&] {
            CHECK(ps::test::on_ranks(world, [&](ps::dist::context& ctx) {
                      auto net = line();
                      auto make = [](ps::fields const&) { return std::array<float, 1>{1}; };
                      auto data = ps::shard_list({shard}) | ps::split_by_rank(ctx.world()) | ps::read_tar({.allow = {.links = true, .no_field = true}, .notes = {}}) | ps::map(make) | ps::batch(1) | ps::to_device(ctx);
                      auto r = std::move(data) | train::fit(ctx, net, train::sgd(net, {.lr = 1e-5}), loss, options({.epochs = 2}));
                      if (ctx.rank() == 0) report = r;
                  }) == ps::test::nothing(world));
        });
        CHECK(report.left_out_parts == 4);
        CHECK(report.left_out == 0);
        CHECK(has(last_line(text, "epoch 1/2  loss"), "  2 parts of shards left out"));
        CHECK(has(last_line(text, "epoch 2/2  loss"), "  4 parts of shards left out"));
        CHECK(has(text, "  left out  4 parts of shards\n"));
    }
}

TEST_CASE("fit: the best value of a metric is the one its direction says, and none is shown without", "[unit][fit_safety]") {
    for (int world : {1, 2}) {
        auto const text = printed([&] {
            CHECK(ps::test::on_ranks(world, [&](ps::dist::context& ctx) {
                      auto net = line();
                      double epoch = 0;
                      auto metrics = [&](auto&, auto const&) {
                          ++epoch;
                          return std::array{train::metric{"mae", 1 / epoch, 1, train::best::lowest}, train::metric{"hits", epoch, 1, train::best::highest}, train::metric{"size", epoch, 1}};
                      };
                      auto held_out = ps::range(ctx.rank() == 0 && world == 2 ? 0 : 4) | ps::map([](std::int64_t i) { return std::array<float, 1>{static_cast<float>(i)}; }) | ps::batch(4) | ps::to_device(ctx);
                      (void)(numbers(ctx, 8, 4) | train::fit(ctx, net, train::sgd(net, {.lr = 1e-5}), loss, options({.epochs = 4}), train::validate(std::move(held_out), metrics, {.split = train::data_split::as_it_is})));  // rank 0 of 2 measures nothing
                  }) == ps::test::nothing(world));
        });
        CHECK(has(last_line(text, "  mae  "), "0.25        0.25        8"));
        CHECK(has(last_line(text, "  hits  "), "4           4           8"));
        CHECK(has(last_line(text, "  size  "), "4           -           -"));
    }
}

TEST_CASE("validate: a metric that is no number is refused by name", "[unit][fit_safety]") {
    auto const text = [](at::Tensor const& sum) {
        return alone([&](ps::dist::context& ctx) {
            auto net = line();
            auto data = numbers(ctx, 4, 4);
            auto metrics = [&](auto&, auto const&) { return std::array{train::metric{"hits", sum, 1}}; };
            (void)train::evaluate(ctx, data, net, metrics, train::precision::fp32);
        });
    };
    CHECK(has(text(at::ones({4})), "the sum of metric 'hits' must be one number, got a tensor of shape [4]\n  HINT: add it up"));
    CHECK(has(text(at::ones({}, at::kComplexFloat)), "must be a real number, got ComplexFloat"));
    CHECK(text(at::ones({})) == "");
}

TEST_CASE("fit: parameters that no optimizer holds are said once", "[unit][fit_safety]") {
    train::fit_report report;
    CHECK(has(printed([&] {
                  CHECK(alone([&](ps::dist::context& ctx) {
                            auto net = line();
                            train::named_tensors weight{{"weight", net->weight}};
                            report = numbers(ctx, 8, 4) | train::fit(ctx, net, train::sgd(weight), loss, options({.epochs = 3, .quiet = true}));
                        }) == "");
              }),
              "penstock: warning: no optimizer holds 'bias': it keeps its value"));
    CHECK(report.warnings.size() == 1);
}

TEST_CASE("fit: weights that became inf or NaN under a finite loss are not saved as the last ones", "[unit][fit_safety]") {
    test::scratch dir;
    for (bool saving : {true, false}) {
        auto const text = alone([&](ps::dist::context& ctx) {
            auto net = line();
            int step = 0;
            auto spoils = [&](auto& n, auto const& b) {  // a finite loss whose gradient is infinite at 0
                auto const y = n->forward(b.data).mean();
                return ++step == 2 ? at::sqrt(y - y.detach()) : y;
            };
            (void)(numbers(ctx, 8, 4) | train::fit(ctx, net, train::sgd(net), spoils, options({.checkpoint = saving ? (dir / "run").string() : std::string(), .quiet = true})));
        });
        CHECK(has(text, "the weight 'weight' became inf or NaN at or shortly before step 2"));
    }
    CHECK(train::list_checkpoints(dir / "run").front().step == 0);
}

TEST_CASE("fit: a window larger than any epoch takes the memory of the batches that there are", "[unit][fit_safety]") {
    train::fit_report report;
    CHECK(alone([&](ps::dist::context& ctx) {
              auto net = line();
              report = numbers(ctx, 8, 4) | train::fit(ctx, net, train::sgd(net), loss, options({.accumulate = (std::numeric_limits<int>::max)(), .quiet = true}));
          }) == "");
    CHECK(report.steps == 1);
}

TEST_CASE("fit: ranks that hold data of their own are resumed in the middle of an epoch", "[unit][fit_safety]") {
    test::scratch dir;
    auto const run = [&](std::uint64_t steps, train::resume how) {
        return ps::test::on_ranks(2, [&](ps::dist::context& ctx) {
            auto net = line();
            auto data = ps::permuted(16 + 8 * ctx.rank()) | ps::map([](std::int64_t i) { return std::array<float, 1>{static_cast<float>(i) / 24}; }) | ps::batch(4) | ps::to_device(ctx);
            (void)(std::move(data) | train::fit(ctx, net, train::sgd(net), loss, options({.checkpoint = (dir / "run").string(), .resume = how, .quiet = true, .max_steps = steps})));
        });
    };
    CHECK(run(2, train::resume::never) == std::vector<std::string>(2));
    CHECK(run(0, train::resume::required) == std::vector<std::string>(2));
    CHECK(train::list_checkpoints(dir / "run").front().step == 6);
}
