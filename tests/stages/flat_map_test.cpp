#include <penstock/stages/flat_map.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
/// i % 3 elements of every number: i, i + 1.
std::vector<int> some(int i) {
    std::vector<int> out;
    for (int k = 0; k != i % 3; ++k) out.push_back(i + k);
    return out;
}
std::vector<int> all_of(std::vector<int> const& in) {
    std::vector<int> out;
    for (auto const i : in)
        for (auto const j : some(i)) out.push_back(j);
    return out;
}
/// A range that can be walked once and makes its elements as it goes, as a generator does: 0, 1, ... below `end`; the step to `bad` throws.
struct counter {
    int end, bad = -1;
    int now = 0;

    struct iterator {
        using value_type = std::unique_ptr<int>;
        using difference_type = std::ptrdiff_t;
        counter* c;
        std::unique_ptr<int> operator*() const { return std::make_unique<int>(c->now); }
        iterator& operator++() {
            if (++c->now == c->bad) throw std::out_of_range("bad step");
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(iterator const& i, std::default_sentinel_t) { return i.c->now == i.c->end; }
    };
    counter(int n, int b) : end(n), bad(b) {}
    counter(counter&&) = default;
    friend std::default_sentinel_t end(counter&) { return {}; }
    friend iterator begin(counter& c) { return {&c}; }
};
}  // namespace

TEST_CASE("flat_map: stage contract, f captures an int", "[unit][flat_map]") {
    int const plus = 5;
    test::battery(test::stage_case{
        .name = "flat_map(some)",
        .make = [plus](auto src) {
            return std::move(src) | ps::flat_map([plus](auto const& i) {
                       auto out = some(test::number(i));
                       for (auto& j : out) j += plus;
                       return out;
                   });
        },
        .model = [plus](std::vector<int> const& in) {
            auto out = all_of(in);
            for (auto& j : out) j += plus;
            return out;
        },
    });
}

TEST_CASE("flat_map: stage contract, f captures a unique_ptr, the elements only move", "[unit][flat_map]") {
    test::battery(test::stage_case{
        .name = "flat_map(twice)",
        .make = [](auto src) {
            return std::move(src) | ps::flat_map([plus = std::make_unique<int>(1)](auto item) {
                       int const i = test::number(item);
                       std::vector<decltype(item)> out;
                       out.push_back(std::move(item));
                       out.emplace_back(i + *plus);
                       return out;
                   });
        },
        .model = [](std::vector<int> const& in) {
            std::vector<int> out;
            for (auto const i : in) out.insert(out.end(), {i, i + 1});
            return out;
        },
    });
}

TEST_CASE("flat_map: the example", "[unit][flat_map]") {
    using namespace ps;
    auto got =
    // example-begin flat_map
    range(4) | flat_map([](auto n) { return std::string(static_cast<std::size_t>(n), 'a'); })    // a aa aaa, letter by letter
    // example-end
    | collect();
    CHECK(std::string(got.begin(), got.end()) == "aaaaaa");
}

TEST_CASE("flat_map: every element keeps the identity, the last one has the cover, and that of items without elements", "[unit][flat_map]") {
    auto p = test::keyed_source(6) | ps::flat_map(some);  // 1 | 2 3 | 4 | 5 6
    std::vector<std::uint64_t> ids, covers;
    while (auto item = p.next()) {
        CHECK(item->key == "k" + std::to_string(item->id));
        ids.push_back(item->id);
        covers.push_back(item->cover.count());
    }
    CHECK(ids == std::vector<std::uint64_t>{1, 2, 2, 4, 5, 5});
    CHECK(covers == std::vector<std::uint64_t>{2, 0, 1, 2, 0, 1});  // 0 and 3 have no elements
    CHECK(p.trailing().empty());
    auto none = test::keyed_source(3) | ps::flat_map([](int) { return std::vector<int>{}; });
    CHECK_FALSE(none.next());
    CHECK(none.trailing().count() == 3);
    CHECK_FALSE(p.world_max());
    CHECK(p.hint() == ps::size_hint{0, 0});
}

TEST_CASE("flat_map: inside an item the cover is not given away yet, before and after a load", "[unit][flat_map]") {
    int calls = 0;
    auto make = [&] { return test::keyed_source(100) | ps::flat_map([&](int i) { return ++calls, std::vector<int>{i, i, i}; }); };
    auto p = make();
    for (int i = 0; i != 50; ++i) (void)p.next();  // two of item 16
    CHECK(p.hint() == ps::size_hint{1, std::nullopt});
    calls = 0;
    auto q = make();
    q.load(p.save());
    CHECK(calls == 1);
    auto const item = q.next();
    CHECK(item->id == 16);
    CHECK(item->cover.count() == 1);
    CHECK(q.next()->cover.empty());
    CHECK(p.save().text().size() < 500);
}

TEST_CASE("flat_map: arrays, strings, views of the item, proxies and generators are ranges; only owned elements are moved", "[unit][flat_map]") {
    CHECK((ps::range(2) | ps::flat_map([](auto i) { return std::array{i, i}; }) | ps::collect()) == std::vector<std::int64_t>{0, 0, 1, 1});
    CHECK((ps::from_vector<std::string>({"ab", "c"}) | ps::flat_map([](std::string const& s) { return std::string_view(s); }) | ps::collect()) == std::vector{'a', 'b', 'c'});
    auto const bits = ps::range(1) | ps::flat_map([](auto) { return std::vector<bool>{true, false}; }) | ps::collect();
    CHECK(bits == std::vector<bool>{true, false});
    std::vector<std::string> kept{"a text that is too long to be stored inside", "b"};
    struct view {
        std::vector<std::string>* v;
        auto begin() const { return v->begin(); }
        auto end() const { return v->end(); }
    };
    CHECK((ps::range(2) | ps::flat_map([&](auto) { return view{&kept}; }) | ps::collect()).size() == 4);
    CHECK(kept[0].size() > 20);
    CHECK((ps::range(2) | ps::flat_map([&](auto) -> auto& { return kept; }) | ps::collect()).size() == 4);
    CHECK(kept[0].size() > 20);
    auto generated = ps::range(2) | ps::flat_map([](auto) { return counter(2, -1); });
    for (int const i : {0, 1, 0, 1}) CHECK(**generated.next() == i);
    CHECK_FALSE(generated.next());
}

TEST_CASE("flat_map: a range that fails on the way delivers what came before, then the error, and the item is lost", "[unit][flat_map]") {
    auto make = [] { return test::keyed_source(3) | ps::flat_map([](int i) { return counter(4, i == 1 ? 2 : -1); }); };
    auto p = make();
    for (int i = 0; i != 6; ++i) REQUIRE(p.next());
    auto q = make();
    q.load(p.save());
    for (auto* r : {&p, &q}) {
        try {
            (void)r->next();
            FAIL("no error");
        } catch (ps::stage_error const& e) {
            CHECK(e.where.key == "k1");
            CHECK(e.positions.count() == 1);
        }
        auto const item = r->next();
        CHECK(item->id == 2);
        CHECK(item->cover.empty());
    }
}

TEST_CASE("flat_map: an exception of f consumes its item and names the sample", "[unit][flat_map]") {
    auto p = test::keyed_source(3) | ps::flat_map([](int i) {
                 if (i == 1) throw std::out_of_range("one");
                 return std::vector{i};
             });
    CHECK(p.next()->value == 0);
    auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
    CHECK(text.find("flat_map, sample 'k1'") != text.npos);
    CHECK(p.next()->value == 2);
}

TEST_CASE("flat_map: a function that makes less of an item than when the state was saved is found out", "[unit][flat_map]") {
    auto make = [](int n) { return ps::range(5) | ps::flat_map([n](auto i) { return std::vector(static_cast<std::size_t>(n), i); }); };
    auto p = make(4);
    for (int i = 0; i != 7; ++i) (void)p.next();
    auto same = make(4);
    same.load(p.save());
    CHECK(same.next() == 1);
    for (int const n : {0, 2, 3}) {
        auto other = make(n);
        auto const text = test::error_of<ps::state_error>([&] { return other.load(p.save()), 0; });
        CHECK(text.find("had yielded 3 elements") != text.npos);
        CHECK(text.find("HINT") != text.npos);
    }
}

TEST_CASE("flat_map: an open item survives a move of the chain", "[unit][flat_map]") {
    auto p = ps::range(3) | ps::flat_map([](auto i) { return std::array{i, i + 10}; });
    CHECK(p.next() == 0);
    auto q = std::move(p);
    for (int const i : {10, 1, 11, 2, 12}) CHECK(q.next() == i);
    CHECK_FALSE(q.next());
}
