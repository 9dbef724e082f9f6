#include <penstock/stages/scan.hpp>

#include <penstock/core/ledger.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/collect.hpp>
#include <support/battery.hpp>

#include <cstdint>
#include <memory>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
/// A state that is no number and saves itself.
struct counts {
    int seen = 0, sum = 0;
    void save(ps::state_writer::record r) const { r.put("seen", static_cast<std::uint64_t>(seen)).put("sum", static_cast<std::uint64_t>(sum)); }
    void load(ps::state_reader::record const& r) {
        seen = static_cast<int>(r.get("seen"));
        sum = static_cast<int>(r.get("sum"));
    }
};
std::vector<int> sums(std::vector<int> in) {
    for (std::size_t i = 1; i < in.size(); ++i) in[i] += in[i - 1];
    return in;
}
}  // namespace

TEST_CASE("scan: stage contract, f captures an int", "[unit][scan]") {
    int const times = 3;
    test::battery(test::stage_case{
        .name = "scan(sum)",
        .make = [times](auto src) { return std::move(src) | ps::scan(0, [times](int& sum, auto const& i) { return times * (sum += test::number(i)); }); },
        .model = [times](std::vector<int> in) {
            in = sums(in);
            for (auto& i : in) i *= times;
            return in;
        },
    });
}

TEST_CASE("scan: stage contract with a state that saves itself, f captures a unique_ptr", "[unit][scan]") {
    test::battery(test::stage_case{
        .name = "scan(counts)",
        .make = [](auto src) {
            return std::move(src) | ps::scan(counts{}, [plus = std::make_unique<int>(7)](counts& c, auto item) { return c.sum += test::number(item), ++c.seen, c.sum + *plus; });
        },
        .model = [](std::vector<int> in) {
            in = sums(in);
            for (auto& i : in) i += 7;
            return in;
        },
    });
}

TEST_CASE("scan: the example", "[unit][scan]") {
    using namespace ps;
    auto got =
    // example-begin scan
    from_vector({1, 2, 3}) | scan(0, [](int& sum, int i) { return sum += i; })    // 1 3 6
    // example-end
    | collect();
    CHECK(got == std::vector{1, 3, 6});
}

TEST_CASE("scan: a result keeps the identity of a keyed item", "[unit][scan]") {
    auto p = test::keyed_source(4, {1, 2}) | ps::scan(std::string(), [](std::string& s, int i) { return s += std::to_string(i); });
    CHECK(p.world_max() == 2u);
    CHECK(p.hint() == ps::size_hint{2, 2});
    (void)p.next();
    auto const item = p.next();
    CHECK(item->value == "23");
    CHECK(item->id == 3);
    CHECK(item->cover.count() == 1);
    STATIC_REQUIRE(!ps::resumable<decltype(p)>);  // a string does not save itself
}

TEMPLATE_TEST_CASE("scan: a number is saved bit by bit", "[unit][scan]", float, double, std::int8_t, std::int64_t, bool) {
    auto make = [] { return ps::from_vector({1, 2, 3, 4, 5}) | ps::scan(TestType(-1), [](TestType& s, int i) { return s = static_cast<TestType>(s / static_cast<TestType>(i + 2)), s; }); };
    auto p = make();
    (void)p.next();
    (void)p.next();
    auto q = make();
    q.load(ps::state::parse(p.save().text()));
    for (int i = 0; i != 3; ++i) CHECK(q.next() == p.next());
    CHECK_FALSE(q.next());
}

TEST_CASE("scan: an exception leaves the state as f left it", "[unit][scan]") {
    auto p = ps::from_vector({1, 2, 3}) | ps::scan(0, [](int& sum, int i) {
                 sum += i;
                 if (i == 2) throw std::out_of_range("two");
                 return sum;
             });
    CHECK(p.next() == 1);
    CHECK_THROWS_AS(p.next(), std::out_of_range);
    CHECK(p.next() == 6);
    p.reset(0, 1);
    CHECK(p.next() == 1);
}

TEST_CASE("scan: counts per rank, so it refuses an epoch that another world began", "[unit][scan]") {
    ps::ledger used;
    auto p = test::keyed_source(4) | ps::scan(0, [](int& n, auto) { return ++n; });
    auto const text = test::error_of<ps::state_error>([&] { return p.reset(ps::epoch{}, used), 0; });
    CHECK(text.find("scan") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    p.reset(0, 0);
    CHECK(p.next());
}
