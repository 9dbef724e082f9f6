#include <penstock/stages/cache.hpp>

#include <penstock/sources/from_range.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <support/battery.hpp>

#include <memory>
#include <sstream>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
/// cache refuses keyed items; the battery, which has some, meets it behind this.
template <class S>
struct bare_values : ps::stage_over<S> {
    using stateless = void;
    using item_type = ps::value_of<typename S::item_type>;
    using ps::stage_over<S>::stage_over;
    std::optional<item_type> next() {
        auto item = this->up.next();
        if (!item) return std::nullopt;
        return std::move(ps::value(*item));
    }
    bool discard() { return ps::discard(this->up); }
};
auto const first_epoch = [](std::vector<int> in, test::facts const&) {
    for (auto& i : in) i %= 10000;
    return in;
};
template <class P>
auto items(P& p) {
    std::vector<typename P::item_type> all;
    while (auto i = p.next()) all.push_back(*i);
    return all;
}
}  // namespace

TEST_CASE("cache: stage contract", "[unit][cache]") {
    test::battery(test::stage_case{
        .name = "cache",
        .make = [](auto src) { return std::move(src) | ps::stage_of<bare_values>("bare_values") | ps::cache({.items = 5000}); },
        .model = first_epoch,
        .move_only = std::false_type{},
        .drops = true,  // of identities
    });
    test::battery(test::stage_case{
        .name = "cache by bytes, by a function that captures an int, then by one that captures a unique_ptr",
        .make = [four = 4](auto src) {
            return std::move(src) | ps::stage_of<bare_values>("bare_values") | ps::cache({.bytes = 20000}, [four](int) { return four; }) |
                   ps::cache({.bytes = 20000}, [eight = std::make_unique<int>(8)](int) { return *eight; });
        },
        .model = first_epoch,
        .move_only = std::false_type{},
        .drops = true,
    });
}

TEST_CASE("cache: the example", "[unit][cache]") {
    using namespace ps;
    int calls = 0;
    auto const slow_square = [&](std::int64_t i) { return ++calls, i * i; };
    auto got =
    // example-begin cache
    range(3) | map(slow_square) | cache({.items = 100})    // 0 1 4, from the second epoch on without a call
    // example-end
    ;
    for (std::uint64_t epoch = 0; epoch != 3; ++epoch) {
        got.reset(1, epoch);
        CHECK(items(got) == std::vector<std::int64_t>{0, 1, 4});
        CHECK(calls == 3);
    }
}

TEST_CASE("cache: every epoch is epoch 0, wherever the first one ended or began", "[unit][cache]") {
    auto make = [] { return ps::range(50) | ps::shuffle(5) | ps::cache({.items = 100}); };
    auto plain = ps::range(50) | ps::shuffle(5);
    plain.reset(3, 0);
    auto const wanted = items(plain);
    auto p = make();
    p.reset(3, 0);
    for (int i = 0; i != 20; ++i) (void)p.next();
    p.reset(3, 1);
    CHECK(items(p) == wanted);
    auto q = make();
    q.reset(3, 7);
    CHECK(items(q) == wanted);
    q.reset(4, 7);
    plain.reset(4, 0);
    CHECK(items(q) == items(plain));
    q.reset(3, 8);
    CHECK(items(q) == wanted);
}

TEST_CASE("cache: a load fills the memory by one pass, and later epochs make nothing", "[unit][cache]") {
    auto make = [](std::shared_ptr<test::probe> log) { return test::counting_source(200, std::move(log)) | ps::cache({.items = 1000}); };
    auto p = make(std::make_shared<test::probe>());
    p.reset(1, 0);
    (void)items(p);
    p.reset(1, 1);
    for (int i = 0; i != 30; ++i) (void)p.next();
    auto const log = std::make_shared<test::probe>();
    auto q = make(log);
    q.load(p.save());
    CHECK(log->made == 200);
    CHECK(items(q) == items(p));
    q.reset(1, 2);
    CHECK(items(q).size() == 200);
    CHECK(log->made == 200);
    CHECK(q.stats().back().held == 200);
}

TEST_CASE("cache: an item that failed fails in every epoch, without being tried again", "[unit][cache]") {
    auto log = std::make_shared<test::probe>();
    auto p = test::source_of({.n = 4, .errors = {1}, .log = log}) | ps::cache({.items = 10});
    for (std::uint64_t epoch = 0; epoch != 3; ++epoch) {
        p.reset(1, epoch);
        CHECK(p.next() == 0);
        CHECK(test::error_of<ps::stage_error>([&] { return p.next(); }).find("'k1'") != std::string::npos);
        CHECK(p.next() == 2);
        CHECK(p.next() == 3);
        CHECK_FALSE(p.next());
        CHECK(log->thrown == 1);
    }
    auto readable_now = test::source_of({.n = 4}) | ps::cache({.items = 10});
    auto const text = test::error_of<ps::state_error>([&] { return readable_now.load(p.save()), 0; });
    CHECK(text.find("1 of 4 items had failed when the state was saved, 0 fail now\n  HINT: ") != text.npos);
}

TEST_CASE("cache: a source that is read once can be read in every epoch", "[unit][cache]") {
    std::istringstream in("5 6 7");
    auto p = ps::from_range(std::vector<int>{std::istream_iterator<int>(in), {}}) | ps::cache({.items = 10});
    auto once = ps::pipeline(test::bare_source<test::debug_source<>>{test::debug_source<>({.n = 3})}) | ps::cache({.items = 10});
    for (std::uint64_t epoch = 0; epoch != 2; ++epoch) {
        once.reset(0, epoch);
        CHECK(items(once) == std::vector{0, 1, 2});
        p.reset(0, epoch);
        CHECK(items(p) == std::vector{5, 6, 7});
    }
}

TEST_CASE("cache: items beyond the limit are errors, in every epoch and after a load", "[unit][cache]") {
    auto make = [] { return ps::range(5) | ps::cache({.items = 3}); };
    auto p = make();
    for (std::uint64_t epoch = 0; epoch != 2; ++epoch) {
        p.reset(0, epoch);
        for (int i = 0; i != 3; ++i) CHECK(p.next() == i);
        for (int i = 0; i != 2; ++i) {
            auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
            CHECK(text.find("the items do not fit: the limit is 3 items, reached after 3 items\n  HINT: ") != text.npos);
            auto q = make();
            q.load(p.save());
            if (i == 0) CHECK_THROWS_AS(q.next(), ps::stage_error);
            CHECK_FALSE(q.next());
        }
        CHECK_FALSE(p.next());
    }
    auto text = ps::from_vector({std::string(100, 'a'), std::string(100, 'b'), std::string("c")}) | ps::cache({.bytes = 2 * (sizeof(std::string) + 100) - 1});
    CHECK(text.next()->size() == 100);
    CHECK(test::error_of<ps::stage_error>([&] { return text.next(); }).find("reached after 1 items") != std::string::npos);
    CHECK(text.next() == "c");
    CHECK(text.stats().back().bytes == 2 * sizeof(std::string) + 101);
}

TEST_CASE("cache: batches of samples from shards are refused when they come", "[unit][cache]") {
    auto p = test::keyed_source(4) | ps::batch(2) | ps::cache({.items = 3});
    auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
    CHECK(text.find("stand for other positions in every pass, which a cache cannot renew\n  HINT: ") != text.npos);
    auto plain = ps::range(4) | ps::batch(2) | ps::cache({.items = 3});
    CHECK(items(plain).size() == 2);
}

TEST_CASE("cache: missing limits, unknown sizes and other limits are named", "[unit][cache]") {
    auto const none = test::error_of<ps::config_error>([] { return ps::cache({}); });
    CHECK(none.find("got neither\n  HINT: ") != none.npos);
    auto const unknown = test::error_of<ps::config_error>([] { return ps::range(4) | ps::batch(2) | ps::cache({.bytes = 100}); });
    CHECK(unknown.find("the size of these items is not known, got a limit of 100 bytes\n  HINT: ") != unknown.npos);
    auto const saved = (ps::range(4) | ps::cache({.items = 3})).save();
    auto other = ps::range(4) | ps::cache({.items = 4});
    auto const refused = test::error_of<ps::state_error>([&] { return other.load(saved), 0; });
    CHECK(refused.find("saved with limits of 3 items and 0 bytes, this one has 4 and 0") != refused.npos);
}
