#include <penstock/stages/window.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/batch_by_cost.hpp>
#include <penstock/stages/filter.hpp>
#include <support/battery.hpp>

#include <memory>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::vector<std::vector<int>> windows(std::vector<int> const& in, std::size_t n, std::size_t step) {
    std::vector<std::vector<int>> out;
    for (std::size_t i = 0; i + n <= in.size(); i += step) out.emplace_back(in.begin() + static_cast<std::ptrdiff_t>(i), in.begin() + static_cast<std::ptrdiff_t>(i + n));
    return out;
}
}  // namespace

TEST_CASE("window: stage contract", "[unit][window]") {
    auto const [size, steps] = GENERATE(std::pair{1, 1}, std::pair{3, 1}, std::pair{3, 2}, std::pair{3, 3}, std::pair{2, 5}, std::pair{40, 7});
    test::battery(test::stage_case{
        .name = "window(n, step)",
        .make = [n = size, step = steps](auto src) { return std::move(src) | ps::window(n, step); },
        .model = [n = size, step = steps](std::vector<int> const& in) { return windows(in, static_cast<std::size_t>(n), static_cast<std::size_t>(step)); },
        .move_only = std::false_type{},
    });
}

TEST_CASE("window: the example", "[unit][window]") {
    using namespace ps;
    auto got =
    // example-begin window
    range(5) | window(3)    // [0 1 2] [1 2 3] [2 3 4]
    // example-end
    | collect();
    CHECK(got == std::vector<std::vector<std::int64_t>>{{0, 1, 2}, {1, 2, 3}, {2, 3, 4}});
}

TEST_CASE("window: has the identity of its first item", "[unit][window]") {
    auto p = test::keyed_source(5) | ps::window(3, 2);
    p.reset(0, 2);
    (void)p.next();
    auto const w = p.next();
    CHECK(w->value == std::vector{20002, 20003, 20004});
    CHECK(w->id == 2);
    CHECK(w->pass == 2);
    CHECK(w->key == "k2");
    CHECK(w->weight == 1);
    CHECK_FALSE(p.next());
}

TEST_CASE("window: every position is given away once, with the last window it is in", "[unit][window]") {
    for (int n = 1; n != 5; ++n)
        for (int step = 1; step != 7; ++step) {
            auto p = test::keyed_source(20) | ps::filter([](int i) { return i % 4 != 1; }) | ps::window(n, step);
            std::vector<int> given(20, 0);
            auto note = [&](ps::cover const& c) { c.each([&](ps::interval i) { while (i.begin != i.end) ++given.at(i.begin++); }); };
            std::vector<std::size_t> last;
            while (auto w = p.next()) {
                REQUIRE(w->value.size() == static_cast<std::size_t>(n));
                for (auto const i : last) CHECK((given[i] == 1 || std::find(w->value.begin(), w->value.end(), static_cast<int>(i)) != w->value.end()));
                for (auto const i : w->value) CHECK(given[static_cast<std::size_t>(i)] == 0);  // not before its last window
                note(w->cover);
                last.assign(w->value.begin(), w->value.end());
            }
            note(p.trailing());
            CHECK(given == std::vector<int>(20, 1));
            CHECK(p.trailing().empty());
        }
}

TEST_CASE("window: who asks for what is behind the end before it came gets nothing and loses nothing, also behind a stage that holds items", "[unit][window]") {
    auto const make = [] { return test::keyed_source(20) | ps::filter([](int i) { return i % 4 != 1; }) | ps::window(3) | ps::batch_by_cost(2, [](auto const&) { return 1; }); };
    for (int cut = 0; cut != 8; ++cut) {
        auto p = make();
        std::vector<int> given(20, 0);
        auto note = [&](ps::cover const& c) { c.each([&](ps::interval i) { while (i.begin != i.end) ++given.at(i.begin++); }); };
        auto got = std::optional(ps::batch_of<std::vector<int>>{});
        for (int k = 0; k != cut && got; ++k)
            if (got = p.next(); got) note(got->cover);
        if (got) CHECK(p.trailing().empty());
        else note(p.trailing());
        auto q = make();
        q.load(ps::state::parse(p.save().text()));
        while (auto b = q.next()) note(b->cover);
        note(q.trailing());
        CHECK(given == std::vector<int>(20, 1));
    }
}

TEST_CASE("window: hint and world_max are exact", "[unit][window]") {
    for (int n = 0; n != 12; ++n)
        for (int size : {1, 3})
            for (int step : {1, 2, 5}) {
                auto left = windows(std::vector<int>(static_cast<std::size_t>(n)), static_cast<std::size_t>(size), static_cast<std::size_t>(step)).size();
                CHECK((test::keyed_source(n) | ps::window(size, step)).world_max() == left);
                auto p = ps::range(n) | ps::window(size, step);
                for (;; --left) {
                    CHECK(p.hint() == ps::size_hint{left, left});
                    if (!p.next()) break;
                }
            }
}

TEST_CASE("window: an error leaves the gathered items in place, also over a save", "[unit][window]") {
    auto make = [] { return test::keyed_source(7, {}, {1, 3}) | ps::window(3); };
    auto p = make();
    for (int error = 0; error != 2; ++error) {
        CHECK_THROWS_AS(p.next(), ps::stage_error);
        auto q = make();
        q.load(p.save());
        for (int rest = error + 1; rest != 2; ++rest) CHECK_THROWS_AS(q.next(), ps::stage_error);
        CHECK(q.next()->value == std::vector{0, 2, 4});
        CHECK(q.next()->value == std::vector{2, 4, 5});
    }
}

TEST_CASE("window: a copy that fails loses nothing", "[unit][window]") {
    struct fragile {
        int i;
        std::shared_ptr<int> fails;
        fragile(int n, std::shared_ptr<int> f) : i(n), fails(std::move(f)) {}
        fragile(fragile const& o) : i(o.i), fails(o.fails) {
            if (*fails != 0 && --*fails == 0) throw std::bad_alloc();
        }
        fragile(fragile&&) = default;
        fragile& operator=(fragile const&) = default;
        fragile& operator=(fragile&&) = default;
    };
    auto fails = std::make_shared<int>(0);
    struct source {
        using item_type = fragile;
        std::shared_ptr<int> fails;
        int at = 0;
        std::optional<fragile> next() { return at == 5 ? std::nullopt : std::optional<fragile>(std::in_place, at++, fails); }
    };
    auto p = ps::pipeline(source{fails}) | ps::window(3);
    *fails = 2;
    CHECK_THROWS_AS(p.next(), std::bad_alloc);
    auto const w = p.next();
    REQUIRE(w);
    for (int i = 0; i != 3; ++i) CHECK((*w)[static_cast<std::size_t>(i)].i == i);
}

TEST_CASE("window: bad arguments and other options are named", "[unit][window]") {
    auto const none = test::error_of<ps::config_error>([] { return ps::window(0); });
    CHECK(none.find("n must be >= 1, got 0\n  HINT: ") != none.npos);
    auto const still = test::error_of<ps::config_error>([] { return ps::window(3, -1); });
    CHECK(still.find("step must be >= 1, got -1\n  HINT: ") != still.npos);
    auto other = ps::range(9) | ps::window(3, 2);
    auto const refused = test::error_of<ps::state_error>([&] { return other.load((ps::range(9) | ps::window(3)).save()), 0; });
    CHECK(refused.find("window was saved with step 1, this one has 2") != refused.npos);
}
