#include <penstock/stages/unbatch.hpp>

#include <penstock/core/any_pipeline.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>
#include <support/bare.hpp>
#include <support/battery.hpp>

#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
/// A batch of some numbers, with ids; a number divisible by 3 makes none.
struct some {
    ps::batch_of<int> operator()(int i) const {
        ps::batch_of<int> b;
        for (int k = 0; k != i % 3; ++k) {
            b.items.push_back(i + k);
            b.ids.push_back(static_cast<std::uint64_t>(i));
            b.weights.push_back(0.5);
        }
        return b;
    }
};
}  // namespace

TEST_CASE("unbatch: stage contract", "[unit][unbatch]") {
    int const n = GENERATE(1, 3, 100);
    test::battery(test::stage_case{.name = "batch(n) | unbatch()", .make = [n](auto src) { return std::move(src) | ps::batch(n) | ps::unbatch(); }, .model = [](std::vector<int> in) { return in; }});
}

TEST_CASE("unbatch: stage contract over batches that a function makes, some empty", "[unit][unbatch]") {
    test::battery(test::stage_case{
        .name = "unbatch()",
        .make = [](auto src) { return std::move(src) | ps::map([](auto const& i) { return some{}(test::number(i)); }) | test::bare() | ps::unbatch(); },
        .model = [](std::vector<int> const& in) {
            std::vector<int> out;
            for (auto const i : in)
                for (int k = 0; k != i % 3; ++k) out.push_back(i + k);
            return out;
        },
        .drops = true,
    });
}

TEST_CASE("unbatch: the example", "[unit][unbatch]") {
    using namespace ps;
    auto got =
    // example-begin unbatch
    range(5) | batch(2) | unbatch()    // 0 1 2 3 4
    // example-end
    | collect();
    CHECK(got == std::vector<std::int64_t>{0, 1, 2, 3, 4});
}

TEST_CASE("unbatch: ids and weights come back, the last item has the cover of the batch", "[unit][unbatch]") {
    auto p = test::keyed_source(5) | ps::batch(3) | ps::map([](auto b) {
                 b.weights.at(0) = 7;
                 return b;
             }) | ps::unbatch();
    STATIC_REQUIRE(ps::is_keyed<decltype(p)::item_type>);
    p.reset(0, 2);
    std::vector<std::uint64_t> covers;
    std::vector<double> weights;
    for (std::uint64_t id = 0; auto item = p.next(); ++id) {
        CHECK(item->id == id);
        CHECK(item->pass == 2);
        CHECK(item->value == static_cast<int>(id) + 20000);
        covers.push_back(item->cover.count());
        weights.push_back(item->weight);
    }
    CHECK(covers == std::vector<std::uint64_t>{0, 0, 3, 0, 2});
    CHECK(weights == std::vector<double>{7, 1, 1, 7, 1});
}

TEST_CASE("unbatch: the cover of empty batches, as ranks with fewer items have them, joins what follows", "[unit][unbatch]") {
    auto p = test::keyed_source(3) | ps::batch(1) | ps::map([](auto b) {
                 if (b.ids.at(0) != 1) b.items.clear(), b.ids.clear(), b.weights.clear();
                 return b;
             }) | ps::unbatch();
    CHECK(p.next()->cover.count() == 2);
    CHECK_FALSE(p.next());
    CHECK(p.trailing().count() == 1);
    auto empty = test::keyed_source(1, {0, 2}) | ps::batch(4) | ps::unbatch();
    CHECK_FALSE(empty.next());
    CHECK(empty.trailing().empty());
}

TEST_CASE("unbatch: a state inside a batch goes on inside it", "[unit][unbatch]") {
    auto make = [] { return test::keyed_source(50, {}, {4, 20}) | ps::batch(8) | ps::unbatch(); };
    auto next = [](auto& p) {
        try {
            auto const i = p.next();
            return i ? std::to_string(i->id) + "/" + std::to_string(i->cover.count()) : std::string("end");
        } catch (ps::stage_error const&) {
            return std::string("error");
        }
    };
    for (int k = 0; k != 52; ++k) {
        auto p = make();
        for (int i = 0; i != k; ++i) (void)next(p);
        auto q = make();
        q.load(p.save());
        for (int i = 0; i != 54 - k; ++i) CHECK(next(q) == next(p));
    }
}

TEST_CASE("unbatch: batches of plain items yield plain ones; batches of batches yield batches", "[unit][unbatch]") {
    auto plain = ps::range(5) | ps::batch(2) | ps::map([](auto b) { return b; }) | ps::unbatch();
    STATIC_REQUIRE(std::is_same_v<decltype(plain)::item_type, std::int64_t>);
    auto nested = test::keyed_source(5) | ps::batch(2) | ps::batch(2) | ps::unbatch();
    std::vector<std::size_t> sizes, covers;
    while (auto b = nested.next()) sizes.push_back(b->size()), covers.push_back(b->cover.count());
    CHECK(sizes == std::vector<std::size_t>{2, 2, 1});
    CHECK(covers == sizes);
    auto twice = test::keyed_source(5) | ps::batch(2) | ps::batch(2) | ps::unbatch() | ps::unbatch();
    STATIC_REQUIRE(ps::is_keyed<decltype(twice)::item_type>);
    CHECK(twice.next()->id == 0);
}

TEST_CASE("unbatch: without ids where items must have some, an error says what to do and keeps the positions", "[unit][unbatch]") {
    auto hidden = ps::any(ps::range(4) | ps::batch(2)) | ps::unbatch();  // what stands before cannot be seen
    STATIC_REQUIRE(ps::is_keyed<decltype(hidden)::item_type>);
    auto const text = test::error_of<ps::stage_error>([&] { return hidden.next(); });
    CHECK(text.find("a batch of 2 items has 0 ids and 0 weights") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    CHECK(text.find("flat_map") != text.npos);
    auto p = test::keyed_source(2) | ps::batch(2) | ps::map([](auto b) { return b.ids.pop_back(), b; }) | ps::unbatch();
    try {
        (void)p.next();
        FAIL("no error");
    } catch (ps::stage_error const& e) {
        CHECK(e.positions.count() == 2);
    }
    CHECK_FALSE(p.next());
}

TEST_CASE("unbatch: what a batch was filled up with is no item", "[unit][unbatch]") {
    auto const pad = [] { return ps::batch(2, {.remainder = ps::remainder::pad}); };
    CHECK((ps::range(5) | pad() | ps::unbatch() | ps::collect()) == std::vector<std::int64_t>{0, 1, 2, 3, 4});
    auto p = test::keyed_source(5) | pad() | ps::unbatch();
    std::uint64_t items = 0, positions = 0;
    while (auto i = p.next()) ++items, positions += i->cover.count();
    CHECK(items == 5);
    CHECK(positions == 5);
}
