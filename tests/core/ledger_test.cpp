#include <penstock/core/ledger.hpp>

#include <penstock/core/batch_type.hpp>
#include <penstock/core/random.hpp>
#include <support/sources.hpp>

#include <cstdint>
#include <set>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

std::set<std::uint64_t> members(ps::interval_set const& s) {
    std::set<std::uint64_t> all;
    for (auto i : s.runs())
        for (auto at = i.begin; at != i.end; ++at) all.insert(at);
    return all;
}
ps::batch_of<int> used(std::string source, std::vector<ps::interval> positions) {
    ps::batch_of<int> b;
    b.source = std::move(source);
    for (auto i : positions) b.cover.add(i);
    return b;
}

}  // namespace

TEST_CASE("interval_set: holds what a set of numbers holds, in the fewest runs", "[unit][ledger]") {
    for (std::uint64_t round = 0; round != 200; ++round) {
        ps::random_stream random(1, 0, round);
        ps::interval_set s;
        std::set<std::uint64_t> model;
        for (int step = 0; step != 30; ++step) {
            std::vector<ps::interval> more(random.below(4));
            for (auto& i : more) {
                i.begin = random.below(60);
                i.end = i.begin + random.below(7);
                for (auto at = i.begin; at != i.end; ++at) model.insert(at);
            }
            s.add(more);
            REQUIRE(members(s) == model);
            for (std::size_t k = 1; k < s.runs().size(); ++k) REQUIRE(s.runs()[k - 1].end < s.runs()[k].begin);
        }
        CHECK(s.count() == model.size());
        CHECK(ps::interval_set::parse(s.bytes()) == s);
        ps::interval const window{random.below(70), 10 + random.below(60)};
        std::set<std::uint64_t> gaps;
        for (auto i : s.missing(window))
            for (auto at = i.begin; at != i.end; ++at) CHECK(gaps.insert(at).second);
        for (auto at = window.begin; at < window.end; ++at) CHECK(gaps.contains(at) != model.contains(at));
    }
}

TEST_CASE("interval_set: a byte or two per run, and damaged bytes are refused", "[unit][ledger]") {
    ps::interval_set s;
    for (std::uint64_t i = 0; i != 1000; ++i) s.add({1'000'000'000'000 + 2 * i, 1'000'000'000'000 + 2 * i + 1});
    CHECK(s.bytes().size() <= 1000 + 10);
    CHECK(ps::interval_set().bytes().empty());
    ps::interval_set strided;
    for (std::uint64_t i = 0; i != 100'000; ++i) strided.add(ps::interval{5 + 8 * i, 6 + 8 * i});
    strided.add(ps::interval{1'000'000, 1'000'100});
    CHECK(strided.bytes().size() <= 24);
    CHECK(ps::interval_set::parse(strided.bytes()) == strided);
    CHECK_THROWS_AS(ps::interval_set::parse(std::vector<std::uint8_t>{0x21, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}), ps::state_error);
    auto bytes = s.bytes();
    bytes.resize(3);
    CHECK_THROWS_AS(ps::interval_set::parse(bytes), ps::state_error);
    CHECK_THROWS_AS(ps::interval_set::parse(std::vector<std::uint8_t>{0x01, 0x05, 0x01}), ps::state_error);  // a second run that touches the first
    CHECK_THROWS_AS(ps::interval_set::parse(std::vector<std::uint8_t>(30, 0x80)), ps::state_error);
}

TEST_CASE("ledger: commits by source, merges ranks, and tells what is missing", "[unit][ledger]") {
    ps::ledger a, b;
    a.commit(used("photos", {{0, 4}, {6, 7}}));
    a.commit(used("sketches/ink", {{0, 2}}));
    b.commit(used("photos", {{4, 6}}));
    a.merge(b);
    CHECK(a.branch("photos").used().missing({0, 10}) == std::vector<ps::interval>{{7, 10}});
    CHECK(a.branch("sketches").branch("ink").used().missing({0, 3}) == std::vector<ps::interval>{{2, 3}});
    CHECK(a.branch("nothing").used().missing({0, 3}) == std::vector<ps::interval>{{0, 3}});
    ps::ledger c;
    a.each([&](std::string const& source, ps::interval_set const& s) { c.put(source, ps::interval_set::parse(s.bytes())); });
    CHECK(c == a);
    c.clear();
    CHECK(c.empty());
    CHECK_FALSE(c == a);
    ps::keyed<int> item;
    item.cover = ps::cover::at(3);
    c.commit(item);
    CHECK(c.used().count() == 1);
}

TEST_CASE("ledger: a source that does not know positions is named, each time", "[unit][ledger]") {
    auto p = test::source_of({.n = 4});
    ps::ledger const plain;
    for (int i = 0; i != 2; ++i) {
        auto const text = test::error_of<ps::state_error>([&] { return p.reset(ps::epoch::of(0, 0), plain), 0; });
        CHECK(text.find("the source does not know") != text.npos);
        CHECK(text.find("HINT") != text.npos);
    }
}
