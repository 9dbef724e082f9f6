#include <penstock/sources/split_by_rank.hpp>

#include <penstock/core/ledger.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>

#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

template <class F>
std::string refusal(F f) {
    try {
        f();
    } catch (ps::config_error const& e) {
        return e.what();
    }
    return {};
}
bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("split_by_rank: the example of its comment", "[unit][sources]") {
    // example-begin split_by_rank
    auto plan = ps::shard_list("a.tar") | ps::split_by_rank({.rank = 1, .size = 4})    // the second quarter of each epoch
    // example-end split_by_rank
        ;
    CHECK(plan.part() == ps::world{1, 4});
}

TEST_CASE("split_by_rank: shuffling and splitting make new plans, in any order", "[unit][sources]") {
    auto const plain = ps::shard_list("s{0..3}", {.samples_per_shard = 2});
    auto const a = plain | ps::shuffle_shards() | ps::split_by_rank({1, 4});
    auto const b = plain | ps::split_by_rank({1, 4}) | ps::shuffle_shards();
    CHECK_FALSE(plain.shuffled());
    CHECK(plain.part() == ps::world{0, 1});
    CHECK((a.shuffled() && b.shuffled()));
    CHECK((a.part() == ps::world{1, 4} && b.part() == ps::world{1, 4}));
    auto const chain = ps::shuffle_shards() | ps::split_by_rank({1, 4});
    CHECK((plain | chain).shuffled());
    CHECK(has(refusal([&] { (void)(a | ps::split_by_rank({1, 4})); }), "split already for rank 1 of 4, got rank 1 of 4\n  HINT: split once"));
    CHECK(has(refusal([&] { (void)(plain | ps::split_by_rank({}) | ps::shuffle_shards() | ps::split_by_rank({})); }), "split already for rank 0 of 1, got rank 0 of 1"));
    CHECK(has(refusal([&] { (void)(a | ps::split_by_rank({2, 4})); }), "split already for rank 1 of 4, got rank 2 of 4"));
    CHECK(has(refusal([] { (void)ps::split_by_rank({4, 4}); }), "got rank 4, world 4"));
}

TEST_CASE("split_by_rank: stage contract over items", "[unit][sources]") {
    ps::world const w = GENERATE(ps::world{0, 1}, ps::world{0, 3}, ps::world{1, 3}, ps::world{2, 3}, ps::world{7, 100});
    test::battery(test::stage_case{
        .name = "split_by_rank(w)",
        .make = [w](auto src) { return std::move(src) | ps::split_by_rank(w); },
        .model = [w](std::vector<int> in) {
            std::erase_if(in, [w](int i) { return static_cast<std::uint32_t>(i % 10000) % w.size != w.rank; });  // a slot that failed is an item too
            return in;
        },
        .drops = true,
    });
}

TEST_CASE("split_by_rank: items are dealt by stride, each to one rank, as evenly as can be", "[unit][sources]") {
    CHECK((ps::range(8) | ps::map([](auto i) { return 2 * i; }) | ps::split_by_rank({1, 3}) | ps::collect()) == std::vector<std::int64_t>{2, 8, 14});
    for (int n = 0; n != 12; ++n)
        for (std::uint32_t size = 1; size != 6; ++size) {
            std::vector<int> given(static_cast<std::size_t>(n), 0);
            for (std::uint32_t r = 0; r != size; ++r) {
                auto p = test::keyed_source(n) | ps::split_by_rank({r, size});
                CHECK(p.world_max() == (static_cast<std::uint64_t>(n) + size - 1) / size);
                auto left = (static_cast<std::uint64_t>(n) + size - 1 - r) / size;
                for (;; --left) {
                    CHECK(p.hint() == ps::size_hint{left, left});
                    auto const item = p.next();
                    if (!item) break;
                    CHECK(item->cover.count() == 1);  // those of other ranks are theirs
                    ++given.at(item->id);
                }
            }
            CHECK(given == std::vector<int>(static_cast<std::size_t>(n), 1));
        }
}

TEST_CASE("split_by_rank: items of other ranks are not made", "[unit][sources]") {
    int calls = 0;
    auto p = test::keyed_source(10) | ps::map([&](int i) { return ++calls, i; }) | ps::split_by_rank({1, 4});
    while (p.next()) {}
    CHECK(calls == 3);
}

TEST_CASE("split_by_rank: what was dropped before a rank's item, and at the end, is given away by one rank alone", "[unit][sources]") {
    for (std::uint32_t size = 1; size != 5; ++size) {
        std::vector<int> given(20, 0);
        auto note = [&](ps::cover const& c) { c.each([&](ps::interval i) { while (i.begin != i.end) ++given.at(i.begin++); }); };
        for (std::uint32_t r = 0; r != size; ++r) {
            auto p = test::keyed_source(20) | ps::filter([](int i) { return i % 3 == 0; }) | ps::split_by_rank({r, size});
            while (auto item = p.next()) note(item->cover);
            note(p.trailing());
            CHECK(p.trailing().empty());
        }
        CHECK(given == std::vector<int>(20, 1));
    }
}

TEST_CASE("split_by_rank: an item that fails keeps its number on every rank; its positions are lost by its own rank alone", "[unit][sources]") {
    int lost = 0;
    std::vector<std::vector<int>> got(2);
    for (std::uint32_t r = 0; r != 2; ++r) {
        auto p = test::keyed_source(8) | ps::filter([](int i) { return i != 3 ? true : throw std::out_of_range("three"); }) | ps::split_by_rank({r, 2});
        for (bool more = true; more;) {
            try {
                auto item = p.next();
                more = item.has_value();
                if (more) got[r].push_back(item->value);
            } catch (ps::stage_error const& e) {
                CHECK(e.where.key == "k3");
                lost += static_cast<int>(e.positions.count());
            }
        }
    }
    CHECK(got[0] == std::vector{0, 2, 4, 6});
    CHECK(got[1] == std::vector{1, 5, 7});
    CHECK(lost == 1);
}

TEST_CASE("split_by_rank: a second split, and a state of another rank, are refused by name", "[unit][sources]") {
    CHECK(has(refusal([] { (void)(ps::range(9) | ps::split_by_rank({1, 3}) | ps::map([](auto i) { return i; }) | ps::split_by_rank({0, 2})); }), "are split already for rank 1 of 3, got rank 0 of 2\n  HINT: "));
    CHECK_NOTHROW(ps::range(9) | ps::split_by_rank({0, 1}) | ps::split_by_rank({0, 2}));
    auto const twice = ps::map([](auto i) { return 2 * i; });
    auto p = ps::range(9) | twice | ps::split_by_rank({1, 3});
    auto other = ps::range(9) | twice | ps::split_by_rank({2, 3});
    auto const text = test::error_of<ps::state_error>([&] { return other.load(p.save()), 0; });
    CHECK(has(text, "load: split_by_rank was saved with rank 1, this one has 2\n  HINT: "));
}

TEST_CASE("split_by_rank: over a stream it refuses an epoch that another world began", "[unit][sources]") {
    ps::ledger used;
    auto p = test::keyed_source(4) | ps::split_by_rank({0, 2});
    CHECK(has(test::error_of<ps::state_error>([&] { return p.reset(ps::epoch{}, used), 0; }), "split the list of shards"));
}
