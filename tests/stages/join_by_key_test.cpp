#include <penstock/stages/join_by_key.hpp>

#include <penstock/core/ledger.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/permuted.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/map_keyed.hpp>
#include <penstock/stages/on_error.hpp>
#include <penstock/stages/shuffle.hpp>
#include <support/battery.hpp>
#include <support/branches.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

/// Items of the keys and numbers of test::keyed_source that stand for no position, so that those of the source under test can be counted.
struct partner {
    ps::keyed<int> operator()(int i) const { return {0, 0, {}, "k" + std::to_string(i % 10000), 1, i + 5000}; }
};
auto partners(int n) { return ps::pipeline(test::planned_source<partner>({.n = n})); }

/// One item per letter, whose key it is.
auto letters(std::string const& keys) {
    return ps::from_vector(std::vector<char>(keys.begin(), keys.end())) | ps::split_by_rank({}) | ps::map_keyed([](auto const& item) {
               auto out = item;
               out.key = std::string(1, item.value);
               return out;
           });
}
struct shown_pair {
    template <class Item>
    std::string operator()(Item const& item) const {
        return item.key + ' ' + test::shown{}(std::get<0>(item.value)) + ' ' + test::shown{}(std::get<1>(item.value));
    }
};
/// Keys of the pairs, and the first line of every error.
template <class P>
std::vector<std::string> told(P p) {
    std::vector<std::string> all;
    while (true) try {
            auto item = p.next();
            if (!item) return all;
            all.push_back(item->key);
        } catch (ps::stage_error const& e) {
            auto const text = std::string(e.what());
            all.push_back(text.substr(0, text.find('\n')));
        }
}
using lines = std::vector<std::string>;

}  // namespace

TEST_CASE("join_by_key: stage contract", "[unit][join_by_key]") {
    test::battery(test::stage_case{
        .name = "join_by_key(source, partners)",
        .make = [](auto src) { return ps::join_by_key(std::move(src), partners(64), {.window = 100, .no_partner = ps::no_partner::skip}); },
        .model = [](std::vector<int> const& in) {
            std::vector<ps::keyed<std::tuple<int, int>>> out;
            for (int i : in) out.push_back({0, 0, {}, "k" + std::to_string(i % 10000), 1, {i, i + 5000}});
            return out;
        },
        .input = test::as_keyed<test::as_is>{{}, 64},
        .move_only = std::false_type{},
        .show = shown_pair{},
    });
}

TEST_CASE("join_by_key: stage contract as a stage, the source last", "[unit][join_by_key]") {
    test::battery(test::stage_case{
        .name = "partners | join_by_key(source)",
        .make = [](auto src) { return partners(64) | ps::join_by_key(std::move(src), {.window = 100, .no_partner = ps::no_partner::skip}) | ps::map([](auto const& both) { return std::get<1>(both); }); },
        .model = [](std::vector<int> const& in) { return in; },
        .input = test::as_keyed<test::as_is>{{}, 64},
        .move_only = std::false_type{},
    });
}

TEST_CASE("join_by_key: the example", "[unit][join_by_key]") {
    using namespace ps;
    auto photos = letters("ab") | map([](char c) { return std::string("photo ") + c; });
    auto captions = letters("ba") | map([](char c) { return std::string("caption ") + c; });
    auto p =
    // example-begin join_by_key
    join_by_key(std::move(photos), std::move(captions))    // b: (photo b, caption b) a: (photo a, caption a)
    // example-end
    ;
    auto const got = std::move(p) | collect();
    REQUIRE(got.size() == 2);
    CHECK(got[0].key == "b");
    CHECK(got[0].value == std::tuple<std::string, std::string>{"photo b", "caption b"});
    CHECK(got[1].key == "a");
    CHECK(got[1].value == std::tuple<std::string, std::string>{"photo a", "caption a"});
}

TEST_CASE("join_by_key: identity is that of the first source, the covers are those of both", "[unit][join_by_key]") {
    auto p = ps::join_by_key(letters("xay"), letters("ya"), {.no_partner = ps::no_partner::skip});
    auto const a = p.next(), y = p.next();
    REQUIRE((a && y));
    CHECK(a->key == "a");
    CHECK(a->id == 1);
    CHECK(y->id == 2);
    CHECK((a->cover.count() == 2 && y->cover.count() == 2));
    CHECK_FALSE(p.next());
    CHECK(p.trailing().count() == 1);  // x, which found no partner
    CHECK(p.trailing().empty());
}

TEST_CASE("join_by_key: an item without a partner is an error that names it, on either side, and costs that item alone", "[unit][join_by_key]") {
    CHECK(told(ps::join_by_key(letters("abcd"), letters("abd"))) ==
          lines{"a", "b", "d", "join_by_key, sample 'c' (id 2): '0' has it, '1' has ended without it"});
    CHECK(told(ps::join_by_key(ps::named("photos", letters("bcd")), ps::named("captions", letters("abcd")))) ==
          lines{"b", "c", "join_by_key, sample 'a' (id 0): 'captions' has it, 'photos' has ended without it", "d"});
    auto const far = told(ps::join_by_key(letters("abcdef"), letters("xbcdea"), {.window = 2}));
    CHECK(far == lines{"b", "join_by_key, sample 'x' (id 0): '1' has it, '0' has not had it up to 2 places behind", "c",
                       "join_by_key, sample 'a' (id 0): '0' has it, '1' has not had it up to 2 places behind", "d", "e",
                       "join_by_key, sample 'a' (id 5): '1' has it, '0' has ended without it", "join_by_key, sample 'f' (id 5): '0' has it, '1' has ended without it"});
    CHECK(told(ps::join_by_key(letters("abc"), letters("bca"), {.window = 2})) == lines{"b", "c", "a"});
    auto const twice = told(ps::join_by_key(letters("aab"), letters("xxa")));
    CHECK(has(twice.front(), "sample 'a' (id 1): '0' has it twice, and the first one still waits for its partner"));
    auto p = ps::join_by_key(letters("ab"), letters("b"));
    CHECK(p.next());
    try {
        (void)p.next();
        FAIL("no error");
    } catch (ps::stage_error const& e) {
        CHECK(e.kind == ps::fault::content);
        CHECK(e.where.key == "a");
        CHECK(e.positions.count() == 1);
        CHECK(has(e.what(), "HINT: complete the data, or leave such items out, counted, with {.no_partner = no_partner::skip}"));
    }
}

TEST_CASE("join_by_key: what is left out by choice is counted and named, and its position goes on with the next pair", "[unit][join_by_key]") {
    auto p = ps::join_by_key(ps::named("photos", letters("abcdefg")), ps::named("captions", letters("xbcdyz")), {.window = 1, .no_partner = ps::no_partner::skip});
    std::uint64_t covered = 0;
    std::string keys;
    while (auto item = p.next()) {
        keys += item->key;
        covered += item->cover.count();
    }
    CHECK(keys == "bcd");
    CHECK(covered + p.trailing().count() == 7 + 6);
    auto const all = p.stats();
    CHECK(all.back().errors == 4 + 3);
    CHECK(all.back().left_out == 4 + 3);
    CHECK(has(all.back().note, "4 of 'photos' without a partner, the first is 'a'"));
    CHECK(has(all.back().note, "3 of 'captions' without a partner, the first is 'x'"));
}

TEST_CASE("join_by_key: shuffled and thinned sources pair by key, at most the window is held, and a resume at every position gives the same rest", "[unit][join_by_key]") {
    auto make = [] {
        auto a = test::keyed_source(40, {}, {7, 20}) | ps::filter([](int i) { return i % 5 != 1; }) | ps::shuffle(4);
        auto b = test::keyed_source(40, {}, {20, 31}) | ps::filter([](int i) { return i % 7 != 3; }) | ps::shuffle(3);
        return ps::join_by_key(std::move(a), std::move(b), {.window = 12});
    };
    auto p = make();
    std::vector<int> got;
    int errors = 0;
    for (bool more = true; more;) try {
            auto item = p.next();
            more = item.has_value();
            if (!more) break;
            CHECK(std::get<0>(item->value) == std::get<1>(item->value));
            got.push_back(std::get<0>(item->value));
            std::uint64_t held = p.stats().back().held;
            CHECK(held <= 2 * 13);
        } catch (ps::stage_error const&) {
            ++errors;
        }
    std::sort(got.begin(), got.end());
    std::vector<int> expected;
    for (int i = 0; i != 40; ++i)
        if (i % 5 != 1 && i % 7 != 3 && i != 7 && i != 20 && i != 31) expected.push_back(i);
    CHECK(got == expected);
    CHECK(errors != 0);
    CHECK(test::resume_differs(make, 2, 100, shown_pair{}) == "");
}

TEST_CASE("join_by_key: its sources order their data alike, so nothing waits", "[unit][join_by_key]") {
    auto p = ps::join_by_key(ps::permuted(50) | ps::split_by_rank({1, 2}), ps::permuted(50) | ps::split_by_rank({1, 2}), {.window = 0});
    CHECK(p.facts() == ps::chain_facts{.world_max = 25u, .counted = true, .identified = true, .split = ps::world{1, 2}});
    CHECK(p.hint() == ps::size_hint{0, 25});
    p.reset(4, 1);
    int n = 0;
    while (auto item = p.next()) {
        CHECK(std::get<0>(item->value) == std::get<1>(item->value));
        ++n;
    }
    CHECK(n == 25);
    ps::ledger used;
    CHECK(has(test::error_of<ps::state_error>([&] { return p.reset(ps::epoch{}, used), 0; }), "join_by_key finds partners within the parts of one rank, which are others now\n  HINT: "));
}

TEST_CASE("join_by_key: sources of any two types", "[unit][join_by_key]") {
    auto p = ps::range(5) | ps::split_by_rank({}) | ps::join_by_key(ps::from_vector<std::string>({"a", "b", "c", "d", "e"}) | ps::split_by_rank({}));
    auto const got = std::move(p) | ps::collect();
    REQUIRE(got.size() == 5);
    CHECK(got[3].value == std::tuple<std::int64_t, std::string>{3, "d"});
}

TEST_CASE("join_by_key: bad options and states of other options are named", "[unit][join_by_key]") {
    auto const text = test::error_of<ps::config_error>([] { return ps::join_by_key(letters("a"), letters("a"), {.window = -1}); });
    CHECK(has(text, "join_by_key: window must be in [0, 2^28], got -1\n  HINT: "));
    auto saved = ps::join_by_key(letters("a"), letters("a")).save();
    auto other = ps::join_by_key(letters("a"), letters("a"), {.window = 5});
    CHECK(has(test::error_of<ps::state_error>([&] { return other.load(saved), 0; }), "saved with a window of 1000"));
}
