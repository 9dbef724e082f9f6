#include <penstock/stages/bucket_by_length.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/filter.hpp>
#include <support/battery.hpp>

#include <memory>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
using lists_type = std::vector<std::vector<int>>;
std::uint64_t length_of(int i) { return static_cast<std::uint64_t>(i % 10000 * 37 % 11); }

/// Every pull in turn: what waited too long leaves, then the item goes where it belongs.
lists_type buckets(std::vector<int> const& in, ps::bucket_options const& o) {
    struct bucket {
        std::vector<int> items;
        std::size_t first = 0;
    };
    std::vector<bucket> all(o.boundaries.size() + 1);
    lists_type out;
    auto leave = [&](bucket& b) { out.push_back(std::exchange(b.items, {})); };
    auto eldest = [&] {
        bucket* found = nullptr;
        for (auto& b : all)
            if (!b.items.empty() && (!found || b.first < found->first)) found = &b;
        return found;
    };
    for (std::size_t k = 0; k != in.size(); ++k) {
        if (auto* b = eldest(); b && k - b->first - 1 >= o.max_wait) leave(*b);
        auto const length = length_of(in[k]);
        std::size_t at = 0;
        while (at != o.boundaries.size() && length > o.boundaries[at]) ++at;
        auto& b = all[at];
        auto padded = [&](std::vector<int> const& items) {
            std::uint64_t most = 1;
            for (int const i : items) most = (std::max)(most, length_of(i));
            return most;
        };
        if (o.budget != 0 && !b.items.empty()) {
            auto with = b.items;
            with.push_back(in[k]);
            if (with.size() * padded(with) > o.budget) leave(b);
        }
        if (b.items.empty()) b.first = k;
        b.items.push_back(in[k]);
        if (o.budget != 0 ? (b.items.size() + 1) * padded(b.items) > o.budget : b.items.size() == o.sizes[at]) leave(b);
    }
    while (auto* b = eldest()) leave(*b);
    return out;
}
template <class P>
lists_type lists(P p) {
    lists_type out;
    for (auto& b : p) out.push_back(b.items);
    return out;
}
auto const itself = [](int i) { return i; };
}  // namespace

TEST_CASE("bucket_by_length: stage contract, sizes, a length that captures an int", "[unit][bucket_by_length]") {
    std::uint64_t const wait = GENERATE(1u, 3u, 12u, 1000u);
    int const zero = 0;
    auto const options = ps::bucket_options{.boundaries = {2, 5}, .sizes = {3, 2, 4}, .max_wait = wait};
    test::battery(test::stage_case{
        .name = "bucket_by_length(sizes)",
        .make = [=](auto src) { return std::move(src) | ps::bucket_by_length([zero](auto const& i) { return length_of(test::number(i) + zero); }, options); },
        .model = [=](std::vector<int> const& in) { return buckets(in, options); },
        .permutes = true,
    });
}

TEST_CASE("bucket_by_length: stage contract, budget, a length that captures a unique_ptr", "[unit][bucket_by_length]") {
    std::uint64_t const wait = GENERATE(4u, 40u);
    auto const options = ps::bucket_options{.boundaries = {3, 7}, .budget = 20, .max_wait = wait};
    test::battery(test::stage_case{
        .name = "bucket_by_length(budget)",
        .make = [=](auto src) { return std::move(src) | ps::bucket_by_length([zero = std::make_unique<int>(0)](auto const& i) { return length_of(test::number(i) + *zero); }, options); },
        .model = [=](std::vector<int> const& in) { return buckets(in, options); },
        .permutes = true,
    });
}

TEST_CASE("bucket_by_length: the example", "[unit][bucket_by_length]") {
    using namespace ps;
    auto got =
    // example-begin bucket_by_length
    from_vector({1, 9, 2, 8, 3}) | bucket_by_length([](int i) { return i; }, {.boundaries = {5}, .sizes = {2, 2}})    // [1 2] [9 8] [3]
    // example-end
    ;
    CHECK(lists(std::move(got)) == lists_type{{1, 2}, {9, 8}, {3}});
}

TEST_CASE("bucket_by_length: no item waits for more than max_wait others, and no more than that are held", "[unit][bucket_by_length]") {
    std::uint64_t const wait = 7;
    auto log = std::make_shared<test::probe>();
    auto p = test::counting_source(500, log) | ps::bucket_by_length(length_of, {.boundaries = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, .sizes = std::vector<std::uint64_t>(11, 100), .max_wait = wait});
    std::vector<int> seen(500, 0);
    std::uint64_t longest = 0;
    while (auto b = p.next()) {
        CHECK(p.stats().back().held <= wait);
        for (int const i : b->items) {
            ++seen[static_cast<std::size_t>(i)];
            if (log->pulls <= 500) longest = (std::max)(longest, log->pulls - static_cast<std::uint64_t>(i) - 1);
        }
    }
    CHECK(longest == wait);
    CHECK(seen == std::vector<int>(500, 1));
}

TEST_CASE("bucket_by_length: after a load only the items since the oldest held one are made", "[unit][bucket_by_length]") {
    auto make = [](std::shared_ptr<test::probe> log) {
        return test::counting_source(3000, std::move(log)) | ps::bucket_by_length(length_of, {.boundaries = {2, 5}, .sizes = {30, 30, 30}, .max_wait = 100});
    };
    auto p = make(std::make_shared<test::probe>());
    for (int i = 0; i != 40; ++i) (void)p.next();
    auto const saved = p.save();
    CHECK(saved.text().size() < 600);
    auto const log = std::make_shared<test::probe>();
    auto q = make(log);
    q.load(saved);
    CHECK(log->made <= 101);
    CHECK(log->pulls + log->discards <= 101 + 25 + 1);
    while (auto item = p.next()) CHECK(q.next()->items == item->items);
    CHECK_FALSE(q.next());
}

TEST_CASE("bucket_by_length: trailing covers join the last batch, once, also over a load between", "[unit][bucket_by_length]") {
    auto make = [] { return test::keyed_source(9) | ps::filter([](int i) { return i < 6; }) | ps::bucket_by_length(itself, {.boundaries = {1, 3}, .sizes = {9, 9, 9}}); };
    for (int stop = 0; stop != 5; ++stop) {
        auto p = make();
        std::uint64_t covered = 0;
        for (int i = 0; i != stop; ++i)
            if (auto b = p.next()) covered += b->cover.count();
        auto q = make();
        q.load(p.save());
        while (auto b = q.next()) covered += b->cover.count();
        covered += q.trailing().count();
        CHECK(covered == 9);
    }
    auto nothing = test::keyed_source(4) | ps::filter([](int) { return false; }) | ps::bucket_by_length(itself, {.sizes = {2}});
    CHECK_FALSE(nothing.next());
    CHECK(nothing.trailing().count() == 4);
}

TEST_CASE("bucket_by_length: items longer than the budget, and errors of length", "[unit][bucket_by_length]") {
    auto p = test::keyed_source(6) | ps::bucket_by_length([](int i) { return i == 1 ? throw std::runtime_error("one") : 10 * i; }, {.budget = 45});
    CHECK(test::error_of<ps::stage_error>([&] { return p.next(); }).find("bucket_by_length, sample 'k1' (id 1): one") != std::string::npos);
    CHECK(p.next()->ids == std::vector<std::uint64_t>{0, 2});
    CHECK(p.next()->ids == std::vector<std::uint64_t>{3});
    CHECK(p.next()->ids == std::vector<std::uint64_t>{4});
    auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
    CHECK(text.find("(id 5): an item costs 50, more than the 45 of a whole batch\n  HINT: ") != text.npos);
    CHECK_FALSE(p.next());
    auto alone = ps::from_vector({1, 9, 1}) | ps::bucket_by_length(itself, {.budget = 4, .oversize = ps::oversize::alone});
    CHECK(lists(std::move(alone)) == lists_type{{1}, {9}, {1}});
}

TEST_CASE("bucket_by_length: bad options and those of another state are named", "[unit][bucket_by_length]") {
    auto refused = [](ps::bucket_options o, std::string const& part) {
        auto const text = test::error_of<ps::config_error>([&] { return ps::bucket_by_length(itself, o); });
        CHECK(text.find(part) != text.npos);
        CHECK(text.find("\n  HINT: ") != text.npos);
    };
    refused({.boundaries = {3, 3}, .budget = 1}, "boundaries must ascend, got 3");
    refused({.boundaries = {3}}, "got neither");
    refused({.sizes = {1}, .budget = 1}, "got both");
    refused({.boundaries = {3}, .sizes = {1}}, "one number more than boundaries (2), got 1");
    refused({.boundaries = {3}, .sizes = {1, 0}}, "sizes must be >= 1, got 0");
    refused({.budget = 3, .max_wait = 0}, "max_wait must be >= 1, got 0");
    refused({.boundaries = [] { std::vector<std::uint64_t> many(101); for (std::uint64_t i = 0; i != 101; ++i) many[i] = i; return many; }(), .budget = 3}, "at most 100 boundaries, got 101");
    auto const saved = (ps::from_vector({1}) | ps::bucket_by_length(itself, {.budget = 3})).save();
    auto other = ps::from_vector({1}) | ps::bucket_by_length(itself, {.budget = 4});
    auto const text = test::error_of<ps::state_error>([&] { return other.load(saved), 0; });
    CHECK(text.find("saved with other boundaries") != text.npos);
}
