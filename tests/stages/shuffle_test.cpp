#include <penstock/stages/shuffle.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/map.hpp>
#include <support/allocations.hpp>
#include <support/battery.hpp>

#include <cmath>
#include <numeric>
#include <random>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
/// The order of the definition: by (departure, number), a sort instead of a delay line.
std::vector<int> by_departure(std::vector<int> const& in, ps::epoch e, std::uint64_t n, std::uint64_t warm) {
    std::vector<std::pair<std::uint64_t, int>> line;
    for (std::uint64_t i = 0; i != in.size(); ++i) {
        ps::random_stream bits(e.key, e.index, i / 4);
        for (std::uint64_t word = 0; word != i % 4; ++word) (void)bits.bits32();
        line.emplace_back((std::max)(i, warm) + ps::detail::geometric_delay(bits.bits32(), n), in[i]);
    }
    std::stable_sort(line.begin(), line.end(), [](auto const& a, auto const& b) { return a.first < b.first; });
    std::vector<int> out;
    for (auto const& [day, item] : line) out.push_back(item);
    return out;
}
}  // namespace

TEST_CASE("shuffle: stage contract", "[unit][shuffle]") {
    int const n = GENERATE(1, 3, 40);
    bool const warm = GENERATE(false, true);
    test::battery(test::stage_case{
        .name = "shuffle(n)",
        .make = [=](auto src) { return std::move(src) | ps::shuffle({.window = n, .warm = warm}); },
        .model = [=](std::vector<int> in, test::facts const& f) {
            auto const window = static_cast<std::uint64_t>(n);
            return by_departure(in, f.epoch, window, warm ? window : 0);
        },
        .permutes = true,
        .sizes = {0, 1, 2, 7, 64},
    });
}

TEST_CASE("shuffle: two in a row keep the contract", "[unit][shuffle]") {
    test::battery(test::stage_case{
        .name = "shuffle(3) | shuffle(2)",
        .make = [](auto src) { return std::move(src) | ps::shuffle(3) | ps::shuffle(2); },
        .model = [](std::vector<int> in, test::facts const& f) {
            return by_departure(by_departure(in, f.rewinds ? f.epoch.child("shuffle") : f.epoch, 3, 0), f.epoch, 2, 0);
        },
        .permutes = true,
        .sizes = {0, 1, 2, 7, 40},
    });
}

TEST_CASE("shuffle: the example", "[unit][shuffle]") {
    using namespace ps;
    auto got =
    // example-begin shuffle
    range(6) | shuffle(2)    // 3 2 4 0 5 1
    // example-end
    | collect();
    CHECK(got == std::vector<std::int64_t>{3, 2, 4, 0, 5, 1});
}

TEST_CASE("shuffle: a permutation for every window and length", "[unit][shuffle]") {
    for (int window = 1; window != 9; ++window)
        for (int n = 0; n != 40; ++n) {
            auto all = ps::range(n) | ps::shuffle(window) | ps::collect();
            std::sort(all.begin(), all.end());
            CHECK(all == (ps::range(n) | ps::collect()));
        }
}

TEST_CASE("shuffle: the order depends on seed, epoch and place, and is new in each", "[unit][shuffle]") {
    auto order = [](auto p, std::uint64_t seed, std::uint64_t epoch) {
        p.reset(seed, epoch);
        std::vector<std::int64_t> all;
        for (auto i : p) all.push_back(i);
        return all;
    };
    auto make = [] { return ps::range(200) | ps::shuffle(20); };
    auto const one = order(make(), 1, 0);
    CHECK(order(make(), 1, 0) == one);
    CHECK(order(make(), 2, 0) != one);
    CHECK(order(make(), 1, 1) != one);
    CHECK(order(ps::range(200) | ps::map([](auto i) { return i; }) | ps::shuffle(20), 1, 0) == one);
    CHECK(order(ps::range(200) | ps::shuffle(20) | ps::shuffle(1), 1, 0) != one);
    CHECK(order(ps::range(100) | ps::shuffle(20), 1, 0) != std::vector(one.begin(), one.begin() + 100));
}

TEST_CASE("shuffle: the table holds the quantiles of the exponential, the delays are geometric with mean n, clamped at 4n", "[unit][shuffle]") {
    for (std::size_t c = 0; c != 1024; ++c) {
        auto const exact = -std::log1p(-static_cast<double>(c) / 1024) * 0x1p28;
        CHECK(std::abs(static_cast<double>(ps::detail::exponential[c]) - exact) <= 512);
    }
    for (std::uint64_t const n : {1u, 2u, 10u, 1000u}) {
        double const q = std::exp(-2.0 / static_cast<double>(2 * n + 1));
        std::uint32_t const steps = 1u << 22;
        double mean = 0;
        std::vector<std::uint64_t> histogram(4 * n + 1);
        std::uint64_t longest = 0;
        for (std::uint32_t i = 0; i != steps; ++i) {
            auto const d = ps::detail::geometric_delay((i << 10) + 512, n);
            longest = (std::max)(longest, d);
            ++histogram.at(d);
            mean += static_cast<double>(d) / steps;
        }
        // mean of the clamped geometric: sum of P(d >= k) for k = 1 ... 4n
        double expected = 0, power = 1;
        for (std::uint64_t k = 1; k <= 4 * n; ++k) expected += power *= q;
        CHECK(longest == 4 * n);
        CHECK(mean == Approx(expected).epsilon(0.002));
        for (std::uint64_t k = 0; k != (std::min<std::uint64_t>)(4 * n, 8); ++k)
            CHECK(static_cast<double>(histogram[k]) / steps == Approx((1 - q) * std::pow(q, static_cast<double>(k))).epsilon(0.01).margin(2e-6));
    }
}

TEST_CASE("shuffle: holds n on average, at most 4n; starts at once, or full if warm", "[unit][shuffle]") {
    int const n = 100;
    auto p = ps::range(40000) | ps::shuffle(n);
    test::ints counted{.n = 10000};
    double sum = 0;
    std::uint64_t most = 0, k = 0;
    for (; p.next(); ++k) {
        auto const held = p.stats().at(0).held;
        most = (std::max)(most, held);
        if (k >= 2000 && k < 38000) sum += static_cast<double>(held) / 36000;
    }
    CHECK(k == 40000);
    CHECK(sum == Approx(n).epsilon(0.05));
    CHECK(most <= 4 * n);

    auto early = test::by_ref(counted) | ps::shuffle(n);
    (void)early.next();
    CHECK(counted.pulls < n);
    test::ints full{.n = 10000};
    auto warm = test::by_ref(full) | ps::shuffle({.window = n, .warm = true});
    (void)warm.next();
    CHECK(full.pulls >= n);
    CHECK(full.pulls < 2 * n);
}

TEST_CASE("shuffle: mixes as well as a classic buffer of n", "[unit][shuffle]") {
    std::size_t const n = 200, all = 50000;
    auto displacement = [](std::vector<std::int64_t> const& order) {
        double sum = 0;
        for (std::size_t i = 0; i != order.size(); ++i) sum += std::abs(static_cast<double>(order[i]) - static_cast<double>(i));
        return sum / static_cast<double>(order.size());
    };
    std::mt19937 random(7);
    std::vector<std::int64_t> buffer, classic;
    for (std::size_t i = 0; i != all; ++i) {
        buffer.push_back(static_cast<std::int64_t>(i));
        if (buffer.size() < n) continue;
        std::swap(buffer[random() % n], buffer.back());
        classic.push_back(buffer.back());
        buffer.pop_back();
    }
    classic.insert(classic.end(), buffer.begin(), buffer.end());
    auto const ours = displacement(ps::range(static_cast<std::int64_t>(all)) | ps::shuffle(static_cast<std::int64_t>(n)) | ps::collect());
    CHECK(ours == Approx(displacement(classic)).epsilon(0.1));
}

TEST_CASE("shuffle: after a load only held items are made, the others are passed over", "[unit][shuffle]") {
    auto make = [](std::shared_ptr<test::probe> log) { return test::counting_source(2000, std::move(log)) | ps::shuffle(50); };
    auto p = make(std::make_shared<test::probe>());
    for (int i = 0; i != 1000; ++i) (void)p.next();
    auto const held = p.stats().at(0).held;
    auto const saved = p.save();
    CHECK(saved.text().size() < 500);
    auto const log = std::make_shared<test::probe>();
    auto q = make(log);
    q.load(saved);
    CHECK(log->made == held);
    CHECK(log->pulls + log->discards <= 4 * 50 + 16 + 1);
    CHECK(q.stats().at(0).held == held);
    while (auto item = p.next()) CHECK(q.next() == item);
    CHECK_FALSE(q.next());
}

TEST_CASE("shuffle: no allocation in steady state", "[unit][shuffle]") {
    test::ints src{.n = 20000};
    auto p = test::by_ref(src) | ps::shuffle(100);
    for (int i = 0; i != 10000; ++i) (void)p.next();
    auto const before = test::allocations();
    for (int i = 0; i != 9000; ++i) (void)p.next();
    CHECK(test::allocations() - before <= 2);  // a fuller window than ever before makes room once
}

TEST_CASE("shuffle: snapshots of the stages before are written into the storage of those that are dropped", "[unit][shuffle]") {
    auto p = ps::range(200'000) | ps::shuffle(100);
    for (int i = 0; i != 50'000; ++i) (void)p.next();
    auto const before = test::allocations();
    for (int i = 0; i != 100'000; ++i) (void)p.next();  // 4,000 snapshots
    CHECK(test::allocations() - before <= 2);
}

TEST_CASE("shuffle: a chain that ran takes a state from before the first pull, and begins where that would", "[unit][shuffle]") {
    auto fresh = ps::range(100) | ps::shuffle(10);
    auto p = ps::range(100) | ps::shuffle(10);
    p.reset(5, 3);
    (void)p.next();
    p.load(fresh.save());
    while (auto item = fresh.next()) CHECK(p.next() == item);
    CHECK_FALSE(p.next());
}

TEST_CASE("shuffle: a source is asked for its end once per epoch", "[unit][shuffle]") {
    auto const log = std::make_shared<test::probe>();
    auto p = test::counting_source(30, log) | ps::shuffle(5);
    for (int i = 0; i != 35; ++i) (void)p.next();
    CHECK(log->pulls == 31);
    CHECK(log->after_end == 0);
    p.reset(0, 1);
    CHECK(p.next());
}

TEST_CASE("shuffle: bad arguments and other options are named", "[unit][shuffle]") {
    auto const none = test::error_of<ps::config_error>([] { return ps::shuffle(0); });
    CHECK(none.find("got 0\n  HINT: ") != none.npos);
    auto const huge = test::error_of<ps::config_error>([] { return ps::shuffle(1'000'000'000'000); });
    CHECK(huge.find("got 1000000000000\n  HINT: ") != huge.npos);
    auto const saved = (ps::range(9) | ps::shuffle(3)).save();
    auto other = ps::range(9) | ps::shuffle({.window = 4, .warm = true});
    auto const refused = test::error_of<ps::state_error>([&] { return other.load(saved), 0; });
    CHECK(refused.find("shuffle was saved with window 3, this one has 4") != refused.npos);
}
