#include <penstock/core/fan_in.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/chain.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/shuffle.hpp>
#include <support/sources.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
template <class F>
std::string config_text(F f) {
    return test::error_of<ps::config_error>(f);
}
}  // namespace

TEST_CASE("fan_in: bad names and useless weights are named", "[unit][fan_in]") {
    CHECK(config_text([] { return ps::chain(ps::named("", ps::range(1)), ps::range(1)); }).find("must not be empty, got ''\n  HINT: ") != std::string::npos);
    CHECK(config_text([] { return ps::chain(ps::named("a", ps::range(1)), ps::named("a", ps::range(1))); }).find("must differ, got 'a' twice\n  HINT: ") != std::string::npos);
    CHECK(config_text([] { return ps::chain(ps::named("1", ps::range(1)), ps::range(1)); }).find("got '1' twice") != std::string::npos);
    CHECK(config_text([] { return ps::chain(ps::named("my photos", ps::range(1)), ps::range(1)); }).find("neither spaces nor '/', got 'my photos'\n  HINT: ") != std::string::npos);
    CHECK(config_text([] { return ps::chain(ps::named("a/b", ps::range(1)), ps::range(1)); }).find("got 'a/b'") != std::string::npos);
    CHECK(config_text([] { return ps::chain(ps::named("a", 0.5, ps::range(1)), ps::range(1)); }).find("no effect here, got 0.5 for 'a'\n  HINT: ") != std::string::npos);
}

TEST_CASE("fan_in: a branch draws from its name, not from its place or its neighbours", "[unit][fan_in]") {
    auto shuffled = [] { return ps::range(50) | ps::shuffle(10); };
    auto items = [](auto p) {
        p.reset(3, 1);
        return std::move(p) | ps::collect();
    };
    auto const one = items(ps::chain(ps::named("a", shuffled()), ps::named("b", shuffled())));
    auto const two = items(ps::chain(ps::named("b", shuffled()), ps::named("c", shuffled()), ps::named("a", shuffled())));
    CHECK(std::vector(one.begin(), one.begin() + 50) == std::vector(two.begin() + 100, two.end()));
    CHECK(std::vector(one.begin() + 50, one.end()) == std::vector(two.begin(), two.begin() + 50));
    CHECK(std::vector(one.begin(), one.begin() + 50) != std::vector(one.begin() + 50, one.end()));
}

TEST_CASE("fan_in: statistics carry the branch's name, the stage counts its inputs", "[unit][fan_in]") {
    auto p = ps::chain(ps::named("a", ps::range(5) | ps::shuffle(2)), ps::named("b", ps::range(5) | ps::shuffle(2)), ps::range(1));
    while (p.next()) {}
    auto const all = p.stats();
    REQUIRE(all.size() == 3);
    CHECK(all[0].name == "a/shuffle");
    CHECK(all[1].name == "b/shuffle");
    CHECK(all[2].name == "chain");
    CHECK(all[2].inputs == 2);
}

TEST_CASE("fan_in: a stop token reaches every branch that can stop", "[unit][fan_in]") {
    struct stopped_source {
        using item_type = std::int64_t;
        int* attached;
        std::optional<std::int64_t> next() { return std::nullopt; }
        void attach(std::stop_token) { ++*attached; }
    };
    int attached = 0;
    auto p = ps::chain(ps::pipeline(stopped_source{&attached}), ps::range(1), ps::pipeline(stopped_source{&attached}));
    p.attach({});
    CHECK(attached == 2);
}
