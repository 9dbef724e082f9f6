#include <penstock/stages/map_keyed.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>

#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
struct as_keyed_number {
    ps::keyed<int> operator()(int i) const { return {static_cast<std::uint64_t>(i), 0, {}, "k", 1, i}; }
};
}  // namespace

TEST_CASE("map_keyed: stage contract", "[unit][map_keyed]") {
    test::battery(test::stage_case{
        .name = "map_keyed(id + value)",
        .make = [](auto src) { return std::move(src) | ps::map_keyed([](auto const& s) { return 2 * s.value; }); },
        .model = [](std::vector<int> in) {
            for (auto& i : in) i *= 2;
            return in;
        },
        .input = as_keyed_number{},
        .move_only = std::false_type{},
    });
}

TEST_CASE("map_keyed: the example", "[unit][map_keyed]") {
    using namespace ps;
    auto photos = from_vector<keyed<int>>({{0, 0, {}, "a", 1, 0}, {1, 0, {}, "b", 1, 0}});
    auto got =
    // example-begin map_keyed
    std::move(photos) | map_keyed([](auto const& s) { return s.key + "!"; })    // a! b!
    // example-end
    | collect();
    REQUIRE(got.size() == 2);
    CHECK(got[0].value == "a!");
    CHECK(got[1].value == "b!");
    CHECK(got[1].id == 1);
}

TEST_CASE("map_keyed: a keyed result is taken as it is", "[unit][map_keyed]") {
    auto p = test::keyed_source(3) | ps::map_keyed([](ps::keyed<int> const& s) {
                 auto changed = s;
                 changed.weight = 0.5;
                 return changed;
             });
    auto const item = p.next();
    REQUIRE(item);
    CHECK(item->weight == 0.5);
    CHECK(item->cover.count() == 1);
}
