#include <penstock/core/blame.hpp>

#include <penstock/core/fields.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/inspect.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/map_keyed.hpp>
#include <support/sources.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

/// The error that the first next() of `p` throws; the second one must deliver.
template <class P>
ps::stage_error failed(P p) {
    try {
        (void)p.next();
    } catch (ps::stage_error const& e) {
        CHECK(p.next());
        try {
            std::rethrow_if_nested(e);
            FAIL("the cause is not nested");
        } catch (std::exception const& cause) {
            CHECK(std::string(cause.what()) == "no zero");
        }
        return e;
    }
    FAIL("no error");
    throw std::logic_error("not reached");
}

constexpr auto no_zero = [](auto const& i) {
    if (i == 0) throw std::runtime_error("no zero");
    return true;
};

}  // namespace

TEST_CASE("blame: a user's function that fails is named with its sample, whose positions are in the error", "[unit][blame]") {
    auto check = [](ps::stage_error const& e, std::string const& stage) {
        CAPTURE(e.what());
        CHECK(e.stage == stage);
        CHECK(e.kind == ps::fault::user);
        CHECK(e.where.sample == 0u);
        CHECK_FALSE(e.where.key.empty());
        CHECK(std::string(e.what()).find("no zero") != std::string::npos);
        CHECK(e.positions.count() == 1);
    };
    check(failed(test::keyed_source(3) | ps::map(no_zero)), "map");
    check(failed(test::keyed_source(3) | ps::filter(no_zero)), "filter");
    check(failed(test::keyed_source(3) | ps::inspect(no_zero)), "inspect");
    check(failed(test::keyed_source(3) | ps::map_keyed([](auto const& item) { return no_zero(item.value); })), "map_keyed");
}

TEST_CASE("blame: a stage_error keeps its kind, its shard and its byte; other items pass errors as they are", "[unit][blame]") {
    auto p = test::keyed_source(2) | ps::map([](int) -> int { throw ps::stage_error("inner", ps::fault::content, {.shard = "a.tar", .byte = 7}, "broken"); });
    try {
        (void)p.next();
        FAIL("no error");
    } catch (ps::stage_error const& e) {
        CHECK(e.kind == ps::fault::content);
        CHECK(e.where.shard == "a.tar");
        CHECK(e.where.byte == 7u);
    }
    auto q = test::source_of({.n = 2}) | ps::map([](int) -> int { throw std::out_of_range("as it is"); });
    CHECK_THROWS_AS(q.next(), std::out_of_range);
}

TEST_CASE("blame: a batch of samples keeps its positions in the error, one of other items passes errors as they are", "[unit][blame]") {
    auto fails = [](auto const&) -> bool { throw std::out_of_range("as it is"); };
    auto p = test::keyed_source(4) | ps::batch(3) | ps::filter(fails);
    try {
        (void)p.next();
        FAIL("no error");
    } catch (ps::stage_error const& e) {
        CHECK(e.positions.count() == 3);
    }
    auto q = test::source_of({.n = 4}) | ps::batch(3) | ps::filter(fails);
    CHECK_THROWS_AS(q.next(), std::out_of_range);
}

TEST_CASE("blame: the shard of a sample is named too where f left it its fields", "[unit][blame]") {
    auto const said = [](auto f) {
        auto item = ps::keyed<ps::fields>{};
        item.id = 4;
        item.key = "s1";
        item.value = ps::fields(std::make_shared<ps::shard_name const>("a.tar"), "s1", 512);
        try {
            ps::give("map", item, f);
        } catch (ps::stage_error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(said([](ps::fields const&) { throw std::runtime_error("stoi"); }) == "map: a.tar, sample 's1' (id 4), byte 512: stoi");
    CHECK(said([](ps::fields) { throw std::runtime_error("stoi"); }) == "map, sample 's1' (id 4): stoi");
}
