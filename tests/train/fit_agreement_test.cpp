#include <penstock/train/fit_agreement.hpp>

#include <penstock/concurrency/prefetch.hpp>
#include <penstock/core/any_pipeline.hpp>
#include <penstock/formats/indexed.hpp>
#include <penstock/formats/read_tar.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/interleave.hpp>
#include <penstock/stages/map.hpp>

#include <penstock/train/fit.hpp>
#include <penstock/train/validate.hpp>

#include <support/rank_threads.hpp>
#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
namespace train = penstock::train;

TEST_CASE("data_identity: tells orders of the same shards apart, as a ledger of one says nothing about another", "[unit][fit]") {
    auto const dir = test::temp_dir{};
    auto tar = test::tar_maker{};
    for (char key : {'a', 'b', 'c'}) tar.add(std::string(1, key) + ".cls", "1");
    auto const path = dir.write("s.tar", tar.end().bytes);
    auto const identity = [&](bool shuffle) { return ps::train::data_identity((ps::shard_list({path}) | ps::indexed({.shuffle = shuffle, .progress = {}})).save()); };
    CHECK(identity(true) != identity(false));
    CHECK(identity(true) == identity(true));
}

namespace {

struct row {
    at::Tensor x;
    std::size_t size() const { return 1; }
    double weight() const { return 1; }
};

/// Two batches, the same on every rank.
struct rows {
    using item_type = row;
    int at = 0;
    std::optional<row> next() {
        if (at == 2) return std::nullopt;
        ++at;
        return row{at::ones({1, 1})};
    }
    void reset(ps::epoch) { at = 0; }
    void save(ps::state_writer& w) const { w.stage("rows", 1).put("at", static_cast<std::uint64_t>(at)); }
    void load(ps::state_reader& r) { at = static_cast<int>(r.stage("rows", 1).get("at")); }
};

auto const loss = [](auto& net, row const& r) { return train::loss_sum{net->forward(r.x).square().sum(), 1.0}; };

struct on_step_part {
    template <class Info> void on_step(Info const&) {}
};

/// How a run differs on rank 1.
struct run {
    train::fit_options options{.precision = train::precision::fp32, .quiet = true};
    train::sgd_options sgd{};
    bool adamw = false, part = false, wide = false, buffer = false, weight_only = false;
};

std::string fit_on(ps::dist::context& ctx, run const& r) {
    auto net = torch::nn::Sequential(torch::nn::Linear(1, r.wide ? 2 : 1));
    if (r.buffer) net->register_buffer("extra", at::zeros({1}));
    auto const train = [&](auto opt, auto... parts) { (void)(ps::pipeline(rows{}) | train::fit(ctx, net, std::move(opt), loss, r.options, std::move(parts)...)); };
    if (r.adamw) train(train::adamw(net, {.lr = 0.1}));
    else if (r.part) train(train::sgd(net, r.sgd), on_step_part{});
    else if (r.weight_only) train(train::sgd(train::named_tensors{{"0.weight", net->parameters()[0]}}, r.sgd));
    else train(train::sgd(net, r.sgd));
    return {};
}

/// The sentence of both ranks.
std::string refused(run const& second) {
    auto const errors = test::on_ranks(2, [&](ps::dist::context& ctx) { fit_on(ctx, ctx.rank() == 0 ? run{} : second); });
    CHECK(errors[0] == errors[1]);
    return errors[0];
}

}  // namespace

TEST_CASE("fit: what differs on a rank is told with both values, before the first step", "[unit][fit]") {
    auto const says = [](run const& second, std::string const& words) {
        auto const text = refused(second);
        INFO(text);
        CHECK(text.find("fit: all ranks must have the same " + words) == 0);
        CHECK(text.find("HINT: start all ranks with the same program") != std::string::npos);
    };
    CHECK(refused({}).empty());
    CHECK(refused({.options = {.precision = train::precision::fp32, .csv = "", .quiet = true}}).empty());
    auto const with = [](auto change) {
        run r;
        change(r);
        return r;
    };
    says(with([](run& r) { r.sgd.lr = 0.2; }), "lr of the optimizer, got '0.1' on rank 0, '0.2' on rank 1");
    says(with([](run& r) { r.sgd.momentum = 0.8999999999999999; }), "momentum of the optimizer, got '0.9' on rank 0, '0.8999999999999999' on rank 1");
    says(with([](run& r) { r.sgd.weight_decay = 1e-4; }), "weight_decay of the optimizer");
    says(with([](run& r) { r.adamw = true; }), "kind of the optimizer, got 'sgd' on rank 0, 'adamw' on rank 1");
    says(with([](run& r) { r.part = true; }), "part 1, got ");
    says(with([](run& r) { r.wide = true; }), "parameter '0.weight', got 'float [1, 1], trained' on rank 0, 'float [2, 1], trained' on rank 1");
    says(with([](run& r) { r.buffer = true; }), "buffer 'extra', got nothing on rank 0, 'float [1]' on rank 1");
    says(with([](run& r) { r.weight_only = true; }), "parameter '0.bias' of the optimizer, got 'float [1]' on rank 0, nothing on rank 1");
    says(with([](run& r) { r.options.seed = 3; }), ".seed, got '0' on rank 0, '3' on rank 1");
    says(with([](run& r) { r.options.keep = 1; }), ".keep, got");
    says(with([](run& r) { r.options.schedule = train::constant(0.5); }), ".schedule at step 0, got '1' on rank 0, '0.5' on rank 1");
    says(with([](run& r) {
             r.options.max_steps = 100;
             r.options.schedule = [](double t) { return t < 60 ? 1.0 : 0.5; };
         }),
         ".max_steps");
}

TEST_CASE("schedule_claims: asks no step behind the end of the run", "[unit][fit]") {
    double most = 0;
    train::schedule const s = [&most](double t) {
        most = (std::max)(most, t);
        return 1.0;
    };
    for (auto steps : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{3}, std::uint64_t{10}, std::uint64_t{1000}, std::uint64_t{123'457}, std::numeric_limits<std::uint64_t>::max()}) {
        most = 0;
        auto const points = train::schedule_claims(s, steps);
        CHECK(most == (steps == 0 ? 0.0 : static_cast<double>(steps - 1)));
        CHECK(points.size() <= (steps < 1'000'000 ? 25 : 70));
    }
    CHECK(train::schedule_claims([](double t) { return t < 60 ? 1.0 : 0.5; }, 100) != train::schedule_claims(train::constant(), 100));
}

TEST_CASE("fit: schedules that part late in a run of unknown length are told at the edge of the epoch", "[unit][fit]") {
    auto const text = [&] {
        auto const errors = test::on_ranks(2, [&](ps::dist::context& ctx) {
            run r;
            if (ctx.rank() == 1) r.options.schedule = [](double t) { return t < 1 ? 1.0 : 0.5; };
            fit_on(ctx, r);
        });
        return errors[0];
    }();
    INFO(text);
    CHECK(text.find("fit, after step 2: all ranks must have the same .schedule at step 1, got '1' on rank 0, '0.5' on rank 1") == 0);
}

TEST_CASE("fit: a rank whose weights drifted is named at the next checkpoint", "[unit][fit]") {
    struct drift {
        ps::dist::context* ctx;
        torch::nn::Sequential net;
        void on_step(train::step_info<row> const& info) {
            at::NoGradGuard off;
            if (ctx->rank() == 1 && info.step == 2) net->parameters()[1].add_(1e-6);
        }
    };
    auto const dir = test::temp_dir{};
    bool const saves = GENERATE(true, false);  // without a checkpoint, at the edge of an epoch
    auto const errors = test::on_ranks(3, [&](ps::dist::context& ctx) {
        auto net = torch::nn::Sequential(torch::nn::Linear(1, 1));
        (void)(ps::pipeline(rows{})
               | train::fit(ctx, net, train::sgd(net), loss, {.epochs = 3, .precision = train::precision::fp32, .checkpoint = saves ? dir.path() : "", .quiet = true}, drift{&ctx, net}));
    });
    for (auto const& e : errors) {
        INFO(e);
        CHECK(e.find("fit, after step 2: all ranks must have the same weights '0.bias', got 'checksum ") == 0);
        CHECK(e.find(" on ranks 0, 2, 'checksum ") != std::string::npos);
        CHECK(e.find(" on rank 1\n") != std::string::npos);
    }
}

TEST_CASE("validate: ranks that give other metrics are refused with both names", "[unit][fit]") {
    using metrics = std::vector<train::metric>;
    auto const errors_of = [](std::function<metrics(int, int)> const& names) {
        return test::on_ranks(2, [&](ps::dist::context& ctx) {
            auto net = torch::nn::Sequential(torch::nn::Linear(1, 1));
            auto measure = [&, batch = 0](auto&, row const&) mutable { return names(ctx.rank(), batch++); };
            (void)(ps::pipeline(rows{}) | train::fit(ctx, net, train::sgd(net), loss, {.precision = train::precision::fp32, .quiet = true}, train::validate(ps::pipeline(rows{}), measure)));
        });
    };
    auto const one = [](std::string name) { return train::metric{std::move(name), at::ones({}), 1}; };
    auto const names = errors_of([&](int rank, int) { return metrics{one(rank == 0 ? "cat" : "dog")}; });
    CHECK(names[0] == names[1]);
    CHECK(names[0].find("validate(data, metrics): all ranks must have the same metric 1, got 'cat' on rank 0, 'dog' on rank 1") == 0);
    auto const order = errors_of([&](int rank, int) { return rank == 0 ? metrics{one("a"), one("b")} : metrics{one("b"), one("a")}; });
    CHECK(order[1].find("the same metric 1, got 'a' on rank 0, 'b' on rank 1") != std::string::npos);
    auto const number = errors_of([&](int rank, int) { return rank == 0 ? metrics{one("a"), one("b")} : metrics{one("a")}; });
    CHECK(number[0].find("the same number of metrics, got '2' on rank 0, '1' on rank 1") != std::string::npos);
    CHECK(errors_of([&](int, int) { return metrics{}; }) == test::nothing(2));
    CHECK(errors_of([&](int, int batch) { return metrics{one(batch == 0 ? "a" : "b")}; })[0].find("must give the same metrics, got 'b' as number 1 after a batch that gave 'a'") != std::string::npos);
    CHECK(errors_of([&](int, int batch) { return batch == 0 ? metrics{one("a"), one("b")} : metrics{one("a")}; })[0].find("got 1 after a batch that gave 2") != std::string::npos);
    CHECK(errors_of([&](int, int batch) { return batch != 0 ? metrics{one("a"), one("b")} : metrics{one("a")}; })[0].find("after a batch that gave only 1") != std::string::npos);
}

TEST_CASE("fit: buffers of every type go through start, validation and checkpoint of two ranks, or are refused by name", "[unit][fit]") {
    struct kind {
        at::ScalarType type;
        bool saved;
    };
    std::vector<kind> const table{{at::kBool, true},   {at::kByte, true},  {at::kChar, true},     {at::kShort, true},    {at::kInt, true},          {at::kLong, true},
                                  {at::kUInt16, true}, {at::kUInt32, true}, {at::kUInt64, true},  {at::kHalf, true},     {at::kBFloat16, true},     {at::kFloat, true},
                                  {at::kDouble, true}, {at::kFloat8_e4m3fn, true}, {at::kFloat8_e5m2, true}, {at::kComplexFloat, true}, {at::kComplexDouble, false}, {at::kComplexHalf, false}};
    for (auto const& [type, saved] : table) {
        INFO("type " << at::toString(type));
        auto const dir = test::temp_dir{};
        auto const run = [&](train::resume how, std::uint64_t epochs) {
            return test::on_ranks(2, [&](ps::dist::context& ctx) {
                auto net = torch::nn::Sequential(torch::nn::Linear(1, 1));
                auto const value = how == train::resume::never ? (at::isComplexType(type) ? at::full({2}, c10::complex<double>(1, 2)).to(type) : at::ones({2}, at::kDouble).to(type)) : at::zeros({2}, type);
                auto const buffer = net->register_buffer("b", value);
                auto const is_as_saved = [&](at::Tensor const& t) {
                    auto const want = at::isComplexType(type) ? at::full({2}, c10::complex<double>(1, 2)) : at::ones({2}, at::kComplexDouble);
                    return at::equal(t.to(at::kComplexDouble), want);
                };
                auto const measure = [&](auto& n, row const&) {
                    return std::vector<train::metric>{{"right", at::full({}, is_as_saved(n->named_buffers()["b"]) ? 1.0 : 0.0), 1}};
                };
                auto const report = ps::pipeline(rows{}) | train::fit(ctx, net, train::sgd(net), loss,
                                                                      {.epochs = epochs, .precision = train::precision::fp32, .checkpoint = dir.path(), .resume = how, .quiet = true},
                                                                      train::validate(ps::pipeline(rows{}), measure));
                if (report.last("right") != 1 || !is_as_saved(buffer)) throw std::runtime_error("the buffer is another one");
            });
        };
        if (saved) {
            CHECK(run(train::resume::never, 1) == test::nothing(2));
            CHECK(run(train::resume::required, 2) == test::nothing(2));
        } else {
            auto const errors = run(train::resume::never, 1);
            CHECK(errors[0].find("tensor 'b': type must be one that the format has, got Complex") != std::string::npos);
        }
    }
}

namespace {

using erased = decltype(ps::any(ps::shard_list({""}) | ps::read_tar() | ps::map([](auto const&) { return 1; }) | ps::batch(2)));

erased read(ps::shard_plan plan) { return ps::any(std::move(plan) | ps::read_tar({.progress = {}}) | ps::map([](auto const&) { return 1; }) | ps::batch(2)); }

/// What each of two ranks (or one) says about data that `chain` makes of a tar of eight samples.
std::vector<std::string> trained_on(int ranks, std::function<erased(ps::dist::context&, ps::shard_plan)> const& chain, train::data_split split = train::data_split::by_rank, bool validates = false) {
    auto const dir = test::temp_dir{};
    auto tar = test::tar_maker{};
    for (char key = 'a'; key != 'i'; ++key) tar.add(std::string(1, key) + ".cls", "1");
    auto const path = dir.write("s.tar", tar.end().bytes);
    return test::on_ranks(ranks, [&](ps::dist::context& ctx) {
        auto net = torch::nn::Sequential(torch::nn::Linear(1, 1));
        auto data = chain(ctx, ps::shard_list({path}));
        auto const measure = [](auto&, auto const&) { return std::vector<train::metric>{{"one", at::ones({}), 1}}; };
        auto const loss_of = [](auto& n, auto const& b) { return train::loss_sum{n->forward(at::ones({static_cast<std::int64_t>(b.size()), 1})).square().sum(), b.weight()}; };
        train::fit_options const o{.precision = train::precision::fp32, .quiet = true, .split = validates ? train::data_split::by_rank : split};
        if (validates) (void)(ps::pipeline(rows{}) | train::fit(ctx, net, train::sgd(net), loss, o, train::validate(std::move(data), measure, {.split = split})));
        else (void)(std::move(data) | train::fit(ctx, net, train::sgd(net), loss_of, o));
    });
}

}  // namespace

TEST_CASE("fit: data that is not split for the ranks of the run is refused, whatever stands behind it", "[unit][fit]") {
    auto const unsplit = [](auto&, auto plan) { return read(plan); };
    auto const split = [](auto& ctx, auto plan) { return read(plan | ps::split_by_rank(ctx.world())); };
    auto const of_three = [](auto&, auto plan) { return read(plan | ps::split_by_rank({.rank = 0, .size = 3})); };
    auto const same_rank = [](auto& ctx, auto plan) { return read(plan | ps::split_by_rank({.rank = 0, .size = static_cast<std::uint32_t>(ctx.world_size())})); };
    auto const ahead = [](auto&, auto plan) { return ps::any(read(plan) | ps::prefetch(2)); };
    auto const mixed = [](auto& ctx, auto plan) {
        return ps::any(ps::interleave({.stop = ps::stop_rule::all}, ps::named("a", 0.5, read(plan | ps::split_by_rank(ctx.world()))), ps::named("b", 0.5, read(plan))));
    };
    auto const all_say = [](std::vector<std::string> const& errors, std::string const& words) {
        for (auto const& e : errors) {
            INFO(e);
            CHECK(e.find(words) != std::string::npos);
            CHECK(e.find("HINT: put split_by_rank(ctx.world()) behind") != std::string::npos);
            CHECK(e.find("data_split::as_it_is") != std::string::npos);
        }
    };
    std::string const whole = "fit: the data must be split for the ranks of this run, got data that is not: each of the 2 ranks would use all of it";
    all_say(trained_on(2, unsplit), whole);
    all_say(trained_on(2, ahead), whole);
    all_say(trained_on(2, mixed), "one of its sources is not: each of the 2 ranks would use all of it");
    all_say(trained_on(2, of_three), "got a split for rank 0 of 3 on rank ");
    all_say(trained_on(1, of_three), "got a split for rank 0 of 3 on rank 0 of 1");
    all_say(trained_on(2, unsplit, train::data_split::by_rank, true), "validate: the data must be split for the ranks of this run, got data that is not");
    auto const wrong = trained_on(2, same_rank);
    CHECK(wrong[0].find("the data of another rank is not split for it") != std::string::npos);
    CHECK(wrong[1].find("got a split for rank 0 of 2 on rank 1 of 2") != std::string::npos);

    CHECK(trained_on(2, split) == test::nothing(2));
    CHECK(trained_on(2, split, train::data_split::by_rank, true) == test::nothing(2));
    CHECK(trained_on(1, unsplit) == test::nothing(1));
    for (bool validates : {false, true}) CHECK(trained_on(2, unsplit, train::data_split::as_it_is, validates) == test::nothing(2));
    CHECK(trained_on(1, of_three, train::data_split::as_it_is) == test::nothing(1));
}

TEST_CASE("fit: an erased chain that cannot tell its position trains and validates without a checkpoint", "[unit][fit]") {
    struct no_state {
        using item_type = row;
        int at = 0;
        std::optional<row> next() { return at++ < 2 ? std::optional(row{at::ones({1, 1})}) : std::nullopt; }
        void reset(ps::epoch) { at = 0; }
    };
    CHECK(test::on_ranks(2, [](ps::dist::context& ctx) {
              auto net = torch::nn::Sequential(torch::nn::Linear(1, 1));
              auto const measure = [](auto&, row const&) { return std::vector<train::metric>{{"one", at::ones({}), 1}}; };
              (void)(ps::any(ps::pipeline(no_state{})) | train::fit(ctx, net, train::sgd(net), loss, {.precision = train::precision::fp32, .quiet = true}, train::validate(ps::any(ps::pipeline(no_state{})), measure)));
          }) == test::nothing(2));
}

TEST_CASE("fit: numbers of batches are compared, unless data is taken as it is", "[unit][fit]") {
    struct own : rows {
        std::uint64_t n = 0;
        ps::chain_facts facts() const { return {.world_max = n, .world_min = n, .counted = true}; }
    };
    auto const errors = [](train::data_split split) {
        return test::on_ranks(2, [&](ps::dist::context& ctx) {
            auto net = torch::nn::Sequential(torch::nn::Linear(1, 1));
            own data;
            data.n = 2 + static_cast<std::uint64_t>(ctx.rank());
            (void)(ps::pipeline(data) | train::fit(ctx, net, train::sgd(net), loss, {.precision = train::precision::fp32, .quiet = true, .split = split}));
        });
    };
    CHECK(errors(train::data_split::by_rank)[0].find("fit: all ranks must have the same number of batches per epoch, got '2' on rank 0, '3' on rank 1") == 0);
    CHECK(errors(train::data_split::as_it_is) == test::nothing(2));
}
