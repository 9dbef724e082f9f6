#include <penstock/stages/alternate.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>
#include <support/branches.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::vector<int> rounds(std::size_t k, std::vector<std::vector<int>> const& lists) {
    std::vector<int> out;
    std::vector<std::size_t> at(lists.size(), 0);
    for (bool any = true; any;) {
        any = false;
        for (std::size_t i = 0; i != lists.size(); ++i)
            for (std::size_t n = 0; n != k && at[i] != lists[i].size(); ++n) out.push_back(lists[i][at[i]++]), any = true;
    }
    return out;
}
}  // namespace

TEST_CASE("alternate: stage contract", "[unit][alternate]") {
    std::int64_t const k = GENERATE(1, 3);
    test::battery(test::stage_case{
        .name = "alternate(k, four items, source, two items)",
        .make = [k](auto src) {
            auto a = test::beside(src, 4), b = test::beside(src, 2);
            return ps::alternate(k, std::move(a), std::move(src), std::move(b));
        },
        .model = [k](std::vector<int> const& in, test::facts const& f) {
            return rounds(static_cast<std::size_t>(k), {test::beside_model(4, f.epoch.index), in, test::beside_model(2, f.epoch.index)});
        },
        .permutes = true,  // an error is an item of the k, which the model does not know
    });
}

TEST_CASE("alternate: the example", "[unit][alternate]") {
    using namespace ps;
    auto p =
    // example-begin alternate
    alternate(2, range(5), from_vector<std::int64_t>({10, 11, 12}))    // 0 1 10 11 2 3 12 4
    // example-end
    ;
    auto const got = std::move(p) | collect();
    CHECK(got == std::vector<std::int64_t>{0, 1, 10, 11, 2, 3, 12, 4});
}

TEST_CASE("alternate: an ended source leaves the rounds, whether its length was known or not", "[unit][alternate]") {
    auto hidden = [](int n) { return ps::range(n) | ps::filter([](auto) { return true; }); };
    for (std::int64_t k : {1, 2, 3}) {
        auto const known = ps::alternate(k, ps::range(3), ps::range(0), ps::range(7)) | ps::collect();
        CHECK((ps::alternate(k, hidden(3), hidden(0), hidden(7)) | ps::collect()) == known);
        CHECK(known.size() == 10);
    }
}

TEST_CASE("alternate: an error is none of the k, and costs no other item", "[unit][alternate]") {
    auto p = ps::alternate(2, test::throwing_source(5, {1, 4}), test::source_of({.n = 4}) | ps::map([](int i) { return i + 5000; }));
    CHECK(test::events_of(p, 100, test::shown{}) == std::vector<std::string>{"0", "error k1", "2", "5000", "5001", "3", "error k4", "5002", "5003", "end"});
}

TEST_CASE("alternate: every rank takes the same turns", "[unit][alternate]") {
    for (std::uint32_t size : {2u, 3u}) {
        std::string first;
        for (std::uint32_t r = 0; r != size; ++r) {
            auto p = ps::alternate(2, test::keyed_source(7, {r, size}) | ps::batch(1), test::keyed_source(4, {r, size}) | ps::batch(1));
            std::string text;
            while (auto b = p.next()) text += b->source;
            if (r == 0) first = text;
            CHECK(text == first);
            CHECK(p.world_max() == text.size());
        }
    }
}

TEST_CASE("alternate: resume at every position with errors, over epochs", "[unit][alternate]") {
    CHECK(test::resume_differs([] { return ps::alternate(2, test::throwing_source(5, {1, 4}), test::source_of({.n = 4}), test::throwing_source(3, {0}) | ps::filter([](int i) { return i % 2 == 0; })); }, 3) == "");
}

TEST_CASE("alternate: a bad k and another k are named", "[unit][alternate]") {
    CHECK(test::error_of<ps::config_error>([] { return ps::alternate(0, ps::range(1), ps::range(1)); }).find("k must be >= 1, got 0\n  HINT: ") != std::string::npos);
    auto const saved = ps::alternate(2, ps::range(3), ps::range(3)).save();
    auto other = ps::alternate(3, ps::range(3), ps::range(3));
    CHECK(test::error_of<ps::state_error>([&] { return other.load(saved), 0; }).find("alternate(3) was saved as alternate(2)\n  HINT: ") != std::string::npos);
}
