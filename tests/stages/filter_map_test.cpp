#include <penstock/stages/filter_map.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/interleave.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/on_error.hpp>
#include <penstock/stages/scan.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <support/battery.hpp>

#include <memory>
#include <optional>
#include <string>
#include <stdexcept>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::vector<int> even_ones(std::vector<int> in) {
    std::erase_if(in, [](int i) { return i % 2 != 0; });
    return in;
}
}  // namespace

TEST_CASE("filter_map: stage contract, f captures an int", "[unit][filter_map]") {
    int const plus = 5;
    test::battery(test::stage_case{
        .name = "filter_map(even + 5)",
        .make = [plus](auto src) { return std::move(src) | ps::filter_map([plus](auto const& i) { return test::number(i) % 2 == 0 ? std::optional(test::number(i) + plus) : std::nullopt; }); },
        .model = [plus](std::vector<int> in) {
            in = even_ones(in);
            for (auto& i : in) i += plus;
            return in;
        },
    });
}

TEST_CASE("filter_map: stage contract, f captures a unique_ptr and hands the item on", "[unit][filter_map]") {
    test::battery(test::stage_case{
        .name = "filter_map(even)",
        .make = [](auto src) {
            return std::move(src) | ps::filter_map([two = std::make_unique<int>(2)](auto item) { return test::number(item) % *two == 0 ? std::optional(std::move(item)) : std::nullopt; });
        },
        .model = even_ones,
    });
}

TEST_CASE("filter_map: the example", "[unit][filter_map]") {
    using namespace ps;
    auto got =
    // example-begin filter_map
    range(5) | filter_map([](auto i) { return i % 2 ? std::optional(10 * i) : std::nullopt; })    // 10 30
    // example-end
    | collect();
    CHECK(got == std::vector<std::int64_t>{10, 30});
}

TEST_CASE("filter_map: the result keeps the identity, and stands for the dropped items", "[unit][filter_map]") {
    auto p = test::keyed_source(6) | ps::filter_map([](int i) { return i == 2 ? std::optional(std::to_string(i)) : std::nullopt; });
    auto const item = p.next();
    REQUIRE(item);
    CHECK(item->value == "2");
    CHECK(item->id == 2);
    CHECK(item->key == "k2");
    CHECK(item->cover.count() == 3);
    CHECK_FALSE(p.next());
    CHECK(p.trailing().count() == 3);
    CHECK(p.trailing().empty());
    CHECK_FALSE(p.world_max());
    CHECK(p.hint() == ps::size_hint{0, 0});
}

TEST_CASE("filter_map: covers that wait are saved, and what stages before dropped at the end comes along", "[unit][filter_map]") {
    auto make = [] {
        return test::keyed_source(6, {}, {2}) | ps::filter([](int i) { return i < 5; }) | ps::filter_map([](int i) { return i == 3 ? std::optional(i) : std::nullopt; });
    };
    auto p = make();
    CHECK_THROWS_AS(p.next(), ps::stage_error);  // 0 and 1 wait
    auto q = make();
    q.load(p.save());
    for (auto* r : {&p, &q}) {
        CHECK(r->next()->cover.count() == 3);
        CHECK_FALSE(r->next());
        CHECK(r->trailing().count() == 2);
    }
}

TEST_CASE("filter_map: an exception of f consumes its item", "[unit][filter_map]") {
    auto p = ps::range(4) | ps::filter_map([](auto i) {
                 if (i == 1) throw std::out_of_range("one");
                 return std::optional(i);
             });
    CHECK(p.next() == 0);
    CHECK_THROWS_AS(p.next(), std::out_of_range);
    CHECK((std::move(p) | ps::collect()) == std::vector<std::int64_t>{2, 3});
}

TEST_CASE("batches that are dropped, made anew or fail keep their positions and their source", "[unit][filter_map][map]") {
    using batch = ps::batch_of<int>;
    auto source = [] { return ps::interleave({}, ps::named("all", test::keyed_source(20) | ps::batch(2))); };
    auto every = [](int i) { return i % 4 == 0; };
    auto check = [](auto p) {
        std::uint64_t positions = 0;
        while (auto b = p.next()) {
            positions += b->cover.count();
            CHECK(b->source == "all");
        }
        CHECK(positions + p.trailing().count() == 20);
    };
    check(source() | ps::map([](batch b) { return batch{.items = std::move(b.items)}; }));
    check(source() | ps::filter_map([&](batch b) { return every(b.items[0]) ? std::optional(std::move(b)) : std::nullopt; }));
    check(source() | ps::filter_map([&](batch b) { return every(b.items[0]) ? std::optional(batch{.items = std::move(b.items)}) : std::nullopt; }));
    auto fails = [&](batch b) {
        if (!every(b.items[0])) throw std::runtime_error("no");
        return b;
    };
    check(source() | ps::map(fails) | ps::on_error(ps::skips{.total = 20, .user = true}));
    check(source() | ps::scan(0, [&](int&, batch b) { return fails(std::move(b)); }) | ps::on_error(ps::skips{.total = 20, .user = true}));
}
