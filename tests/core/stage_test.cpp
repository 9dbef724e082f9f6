#include <penstock/core/stage.hpp>

#include <support/sources.hpp>

#include <memory>
#include <type_traits>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

/// A user's stage: every n-th item.
template <class S>
struct every : ps::stage_over<S> {
    using item_type = typename S::item_type;
    every(S input, int n) : ps::stage_over<S>(std::move(input)), n_(n) {}
    std::optional<item_type> next() {
        for (int i = 1; i < n_; ++i)
            if (!this->up.next()) return std::nullopt;
        return this->up.next();
    }
    using stateless = void;
    int n_;
};
auto every_nth(int n) { return ps::stage_of<every>("every", n); }

struct plan {
    using plan_type = void;
    int shards;
};
auto sum() {
    return ps::terminal([](auto p) {
        int total = 0;
        while (auto i = p.next()) total += *i;
        return total;
    });
}

}  // namespace

TEST_CASE("stage: chains are values, grouped either way and used again", "[unit][stage]") {
    auto const two = every_nth(2);
    auto chain = two | every_nth(3);
    CHECK((test::source_of({.n = 12}) | chain).next() == 5);
    CHECK((test::source_of({.n = 12}) | two | every_nth(3)).next() == 5);
    CHECK((test::source_of({.n = 12}) | (chain | every_nth(2))).next() == 11);
    CHECK((test::source_of({.n = 12}) | (chain | sum())) == 5 + 11);
    CHECK((test::source_of({.n = 12}) | chain | sum()) == 5 + 11);
    auto end = chain | sum();
    CHECK((test::source_of({.n = 12}) | end) == 16);
    CHECK((test::source_of({.n = 6}) | end) == 5);
}

TEST_CASE("stage: the same stage applied twice counts twice", "[unit][stage]") {
    auto p = test::source_of({.n = 8}) | every_nth(2) | every_nth(2) | every_nth(2);
    CHECK(p.next() == 7);
    STATIC_REQUIRE(std::is_same_v<std::remove_cvref_t<decltype(p.inner())>, every<every<every<test::debug_source<>>>>>);
}

TEST_CASE("stage: what the input has is forwarded, what it lacks is absent", "[unit][stage]") {
    auto p = test::keyed_source(10, {1, 3}) | every_nth(2);
    CHECK(p.world_max() == 4u);
    CHECK(p.hint().upper == 3u);
    (void)p.save();
    auto q = test::source_of({.n = 3}) | every_nth(2);
    CHECK_FALSE(q.world_max());
    auto b = ps::pipeline(test::bare_source<test::debug_source<>>{test::debug_source<>({.n = 4})}) | every_nth(2);
    STATIC_REQUIRE(!ps::resettable<decltype(b)> && !ps::resumable<decltype(b)> && !ps::dropping<decltype(b)>);
    CHECK(b.next() == 1);
    CHECK(b.next() == 3);
    CHECK_FALSE(b.next());
}

TEST_CASE("stage: by_ref leaves the pipeline to its owner", "[unit][stage]") {
    auto p = test::source_of({.n = 8});
    auto front = ps::by_ref(p) | every_nth(2);
    CHECK(front.next() == 1);
    CHECK(front.next() == 3);
    CHECK(p.next() == 4);
    CHECK(ps::by_ref(p).hint() == ps::size_hint{3, 3});
    STATIC_REQUIRE(!ps::resumable<decltype(front)>);
}

TEST_CASE("stage: plans pass through stages as values, sources are wrapped in a pipeline", "[unit][stage]") {
    auto more = ps::plan_stage("more", [](plan p) { return plan{p.shards + 1}; });
    auto read = ps::plan_stage("read", [](plan p) { return test::ints{.n = p.shards}; });
    auto p = plan{3} | more | more | read;
    STATIC_REQUIRE(ps::is_pipeline<decltype(p)>);
    CHECK((std::move(p) | sum()) == 0 + 1 + 2 + 3 + 4);
    auto kept = plan{1};
    CHECK((kept | more).shards == 2);  // a named plan is copied
    CHECK((plan{3} | (more | more | read | sum())) == 10);
}

TEST_CASE("stage: a closure that only moves is used once", "[unit][stage]") {
    auto chain = ps::stage("every", [n = std::make_unique<int>(2)](auto input) mutable { return every<decltype(input)>(std::move(input), *n); }) | every_nth(2);
    STATIC_REQUIRE(!std::is_copy_constructible_v<decltype(chain)>);
    CHECK((test::source_of({.n = 8}) | std::move(chain)).next() == 3);
}
