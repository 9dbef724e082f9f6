#include <penstock/sources/permuted.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/inspect.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/take.hpp>
#include <support/battery.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::uint64_t key_of(ps::epoch e) { return ps::child_key(e.line, "permuted"); }

bool is_permutation_of(ps::permutation const& order, std::uint64_t n) {
    std::vector<bool> seen(n);
    for (std::uint64_t i = 0; i != n; ++i) {
        auto const at = order(i);
        if (at >= n || seen[at]) return false;
        seen[at] = true;
    }
    return true;
}
}  // namespace

TEST_CASE("permuted: source contract", "[unit][permuted]") {
    test::battery(test::source_case{
        .name = "permuted",
        .make = [](int n, ps::world) { return ps::permuted(n); },
        .model = [](int n, test::facts const& f) {
            std::vector<std::int64_t> out;
            auto const order = ps::permutation(static_cast<std::uint64_t>((std::max)(n, 1)), key_of(f.epoch), f.epoch.index);
            for (int i = 0; i != n; ++i) out.push_back(static_cast<std::int64_t>(order(static_cast<std::uint64_t>(i))));
            return out;
        },
    });
}

TEST_CASE("permuted: the example", "[unit][permuted]") {
    using namespace ps;
    auto got =
    // example-begin permuted
    permuted(6) | collect()    // 2 3 0 1 4 5
    // example-end
    ;
    CHECK(got == std::vector<std::int64_t>{2, 3, 0, 1, 4, 5});
}

TEST_CASE("permuted: a bijection for every length", "[unit][permuted]") {
    for (std::uint64_t n = 1; n <= 2000; ++n)
        if (!is_permutation_of(ps::permutation(n, n * 7, n), n)) FAIL("n = " << n);
    for (unsigned k = 11; k <= 18; ++k)
        for (std::uint64_t n = (std::uint64_t{1} << k) - 1; n <= (std::uint64_t{1} << k) + 2; ++n)
            if (!is_permutation_of(ps::permutation(n, k, 1), n)) FAIL("n = " << n);
    CHECK(is_permutation_of(ps::permutation((1u << 21) + 1, 3, 0), (1u << 21) + 1));
    for (std::uint64_t n = 1; n <= 8; ++n)
        for (std::uint64_t key = 0; key != 500; ++key) CHECK(is_permutation_of(ps::permutation(n, key, 2), n));
}

TEST_CASE("permuted: lengths up to 2^64 - 1", "[unit][permuted]") {
    for (auto const n : {~std::uint64_t{0}, (std::uint64_t{1} << 63) + 1, (std::uint64_t{1} << 62) - 1, (std::uint64_t{1} << 33) + 1}) {
        ps::permutation const order(n, 5, 0);
        std::vector<std::uint64_t> seen;
        for (std::uint64_t i = 0; i != 2000; ++i) seen.push_back(order(i)), seen.push_back(order(n - 1 - i));
        std::sort(seen.begin(), seen.end());
        CHECK(seen.back() < n);
        CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
        CHECK(seen.front() < n / 100);
        CHECK(seen.back() > n - n / 100);
    }
    auto const most = std::numeric_limits<std::int64_t>::max();
    auto p = ps::permuted(most);
    CHECK(p.hint() == ps::size_hint{static_cast<std::uint64_t>(most), most});
    CHECK(p.next());
}

TEST_CASE("permuted: every number comes to every place equally often", "[unit][permuted]") {
    for (std::uint64_t const n : {2u, 3u, 5u, 8u, 10u, 17u}) {
        std::uint64_t const keys = 6000;
        std::vector<double> counts(n * n), pairs(n * n);
        for (std::uint64_t key = 0; key != keys; ++key) {
            ps::permutation const order(n, key, key % 7);
            for (std::uint64_t i = 0; i != n; ++i) ++counts[i * n + order(i)];
            ++pairs[order(0) * n + order(1)];
        }
        double square = 0, square_of_pairs = 0;
        auto const expected = static_cast<double>(keys) / static_cast<double>(n), expected_pair = expected / static_cast<double>(n - 1);
        for (auto const c : counts) square += (c - expected) * (c - expected) / expected;
        for (std::uint64_t a = 0; a != n; ++a)
            for (std::uint64_t b = 0; b != n; ++b)
                if (a != b) square_of_pairs += (pairs[a * n + b] - expected_pair) * (pairs[a * n + b] - expected_pair) / expected_pair;
        auto const freedom = static_cast<double>((n - 1) * (n - 1)), freedom_of_pairs = static_cast<double>(n * (n - 1) - 1);
        CHECK(square < freedom + 5 * std::sqrt(2 * freedom) + 3);  // chi-square: mean f, variance 2f
        CHECK(square_of_pairs < freedom_of_pairs + 5 * std::sqrt(2 * freedom_of_pairs) + 3);
    }
}

TEST_CASE("permuted: another order for every seed, epoch and length, and the same one for ever", "[unit][permuted]") {
    auto order = [](std::uint64_t n, std::uint64_t seed, std::uint64_t epoch) {
        auto p = ps::permuted(n) | ps::take(1000);
        p.reset(seed, epoch);
        return ps::by_ref(p) | ps::collect();
    };
    auto const one = order(1000, 1, 0);
    CHECK(order(1000, 1, 0) == one);
    CHECK(order(1000, 1, 1) != one);
    CHECK(order(1000, 2, 0) != one);
    auto hash = std::uint64_t{0xCBF29CE484222325};
    for (auto const n : {std::uint64_t{2}, std::uint64_t{10}, std::uint64_t{1000}, std::uint64_t{65537}, std::uint64_t{1} << 40, std::uint64_t{1} << 62})
        for (std::uint64_t epoch : {0u, 1u})
            for (auto const i : order(n, 7, epoch)) hash = (hash ^ static_cast<std::uint64_t>(i)) * 0x100000001B3;
    CHECK(hash == 0xf947329b0786e750);  // recorded: a checkpoint of any release continues in this order
}

TEST_CASE("permuted: it yields what range yields, in an order that no stage behind it changes", "[unit][permuted]") {
    STATIC_REQUIRE(std::is_same_v<decltype(ps::permuted(3))::item_type, decltype(ps::range(3))::item_type>);
    auto p = ps::permuted(100) | ps::shuffle(5);
    auto got = ps::by_ref(p) | ps::collect(), all = ps::range(100) | ps::collect();
    CHECK(std::is_permutation(got.begin(), got.end(), all.begin(), all.end()));
    std::vector<std::int64_t> behind;
    auto q = ps::permuted(100) | ps::inspect([&](std::int64_t i) { behind.push_back(i); }) | ps::shuffle(5);
    while (q.next()) {}
    CHECK(behind == (ps::permuted(100) | ps::collect()));
}

TEST_CASE("permuted: a jump costs nothing", "[unit][permuted]") {
    auto p = ps::permuted(std::uint64_t{1} << 50);
    p.reset(3, 4);
    auto at = p.save();
    at.records.back().numbers[1].value = (std::uint64_t{1} << 50) - 1;
    auto q = ps::permuted(std::uint64_t{1} << 50);
    q.load(at);
    CHECK(q.next() == static_cast<std::int64_t>(ps::permutation(std::uint64_t{1} << 50, key_of(ps::epoch::of(3, 4)), 4)((std::uint64_t{1} << 50) - 1)));
    CHECK_FALSE(q.next());
}

TEST_CASE("permuted: a bad argument and a state of another n are named", "[unit][permuted]") {
    auto const text = test::error_of<ps::config_error>([] { return ps::permuted(-3); });
    CHECK(text.find("permuted(n): n must be >= 0 and < 2^63, got -3\n  HINT: ") != text.npos);
    CHECK(test::error_of<ps::config_error>([] { return ps::permuted(~std::uint64_t{0}); }).find("got 18446744073709551615") != std::string::npos);
    CHECK_FALSE(ps::permuted(0).next());
    auto other = ps::permuted(6);
    auto const refused = test::error_of<ps::state_error>([&] { return other.load(ps::permuted(5).save()), 0; });
    CHECK(refused.find("saved at 0 of 5, this one has 6") != refused.npos);
}
