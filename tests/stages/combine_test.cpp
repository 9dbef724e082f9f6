#include <penstock/stages/combine.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <support/battery.hpp>
#include <support/branches.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;
using how = ps::combine_mode;

namespace {
/// "3 - 5001 ": a place that is empty as "-".
struct shown_step {
    template <class Item>
    std::string operator()(Item const& item) const {
        if constexpr (ps::is_keyed<Item>) return (*this)(item.value);
        else if constexpr (requires { std::tuple_size<Item>::value; }) return std::apply([](auto const&... one) { return (((one ? test::shown{}(*one) : "-") + ' ') + ...); }, item);
        else return test::shown{}(item);
    }
};
using lines = std::vector<std::string>;

template <class P>
lines epoch_of(P& p, std::uint64_t e) {
    p.reset(0, e);
    return test::events_of(p, 100, shown_step{});
}
}  // namespace

TEST_CASE("combine: stage contract of max_size", "[unit][combine]") {
    test::battery(test::stage_case{
        .name = "combine(max_size, three items, source)",
        .make = [](auto src) {
            auto other = test::beside(src, 3);
            return ps::combine(how::max_size, std::move(other), ps::named("x", std::move(src)));
        },
        .model = [](std::vector<int> const& in, test::facts const& f) {
            lines out;  // an item that failed leaves its place empty
            auto const other = test::beside_model(3, f.epoch.index);
            auto next = in.begin();
            for (int slot = 0; slot < 3 || next != in.end(); ++slot) {
                bool const has = next != in.end() && *next % 10000 == slot;
                if (slot < 3 || has) out.push_back((slot < 3 ? std::to_string(other[static_cast<std::size_t>(slot)]) : "-") + ' ' + (has ? std::to_string(*next) : "-") + ' ');
                next += has;
            }
            return out;
        },
        .show = shown_step{},
    });
}

TEST_CASE("combine: stage contract of sequential", "[unit][combine]") {
    test::battery(test::stage_case{
        .name = "combine(sequential, source, two items, source of one)",
        .make = [](auto src) {
            auto b = test::beside(src, 2), c = test::beside(src, 1);
            return ps::combine(how::sequential, std::move(src), std::move(b), std::move(c));
        },
        .model = [](std::vector<int> const& in, test::facts const& f) {
            lines out;
            auto const other = test::beside_model(2, f.epoch.index);
            for (int i : in) out.push_back(std::to_string(i) + " - - ");
            for (int i : other) out.push_back("- " + std::to_string(i) + " - ");
            out.push_back("- - " + std::to_string(other[0]) + ' ');
            return out;
        },
        .show = shown_step{},
    });
}

TEST_CASE("combine: the example", "[unit][combine]") {
    using namespace ps;
    auto p =
    // example-begin combine
    combine(combine_mode::max_size_cycle, range(3), from_vector<char>({'a', 'b'}))    // (0, a) (1, b) (2, a)
    // example-end
    ;
    using step = std::tuple<std::optional<std::int64_t>, std::optional<char>>;
    auto const got = std::move(p) | collect();
    CHECK(got == std::vector<step>{{0, 'a'}, {1, 'b'}, {2, 'a'}});
}

TEST_CASE("combine: the four modes, whether lengths are known or not", "[unit][combine]") {
    auto const hidden = GENERATE(false, true);
    auto steps = [&](how m) {
        auto run = [](auto p) { return test::events_of(p, 100, shown_step{}); };
        auto below = [](int n) { return ps::range(9) | ps::filter([n](auto i) { return i < n; }); };
        return hidden ? run(ps::combine(m, below(2), below(3))) : run(ps::combine(m, ps::range(2), ps::range(3)));
    };
    CHECK(steps(how::min_size) == lines{"0 0 ", "1 1 ", "end"});
    CHECK(steps(how::max_size) == lines{"0 0 ", "1 1 ", "- 2 ", "end"});
    CHECK(steps(how::sequential) == lines{"0 - ", "1 - ", "- 0 ", "- 1 ", "- 2 ", "end"});
    // where no length is known, the end of the longer source is met in a step that holds an item already: that step is completed
    CHECK(steps(how::max_size_cycle) == (hidden ? lines{"0 0 ", "1 1 ", "0 2 ", "1 0 ", "end"} : lines{"0 0 ", "1 1 ", "0 2 ", "end"}));
}

TEST_CASE("combine: max_size_cycle goes on in unfinished passes over the edges of epochs", "[unit][combine]") {
    auto p = ps::combine(how::max_size_cycle, test::source_of({.n = 2}), test::source_of({.n = 3}));
    CHECK(epoch_of(p, 0) == lines{"0 0 ", "1 1 ", "10000 2 ", "end"});
    CHECK(epoch_of(p, 1) == lines{"10001 10000 ", "20000 10001 ", "20001 10002 ", "end"});
    CHECK(epoch_of(p, 2) == lines{"30000 20000 ", "30001 20001 ", "40000 20002 ", "end"});
    CHECK(epoch_of(p, 0)[0] == "0 0 ");
}

TEST_CASE("combine: an error comes before its step, leaves its place empty and costs no other item", "[unit][combine]") {
    auto make = [](how m) { return ps::combine(m, test::throwing_source(4, {0, 3}), test::throwing_source(5, {0, 1}), test::source_of({.n = 4})); };
    auto p = make(how::max_size);
    CHECK(epoch_of(p, 0) == lines{"error k0", "error k0", "- - 0 ", "error k1", "1 - 1 ", "2 2 2 ", "error k3", "- 3 3 ", "- 4 - ", "end"});
    auto q = make(how::min_size);
    CHECK(epoch_of(q, 0) == lines{"error k0", "error k0", "- - 0 ", "error k1", "1 - 1 ", "2 2 2 ", "error k3", "- 3 3 ", "end"});
    auto r = make(how::sequential);
    CHECK(epoch_of(r, 0) == lines{"error k0", "1 - - ", "2 - - ", "error k3", "error k0", "error k1", "- 2 - ", "- 3 - ", "- 4 - ", "- - 0 ", "- - 1 ", "- - 2 ", "- - 3 ", "end"});
    auto s = make(how::max_size_cycle);
    CHECK(epoch_of(s, 0) == lines{"error k0", "error k0", "- - 0 ", "error k1", "1 - 1 ", "2 2 2 ", "error k3", "- 3 3 ", "error k0", "- 4 10000 ", "end"});
}

TEST_CASE("combine: resume at every position and over the edges, with errors, in every mode", "[unit][combine]") {
    auto const m = GENERATE(how::min_size, how::max_size, how::max_size_cycle, how::sequential);
    CHECK(test::resume_differs([&] {
              return ps::combine(m, test::throwing_source(7, {0, 3}) | ps::shuffle(2), ps::named("b", test::throwing_source(4, {1, 3})), test::source_of({.n = 3}) | ps::shuffle(2));
          }, 4, 60, shown_step{}) == "");
    CHECK(test::resume_differs([&] {
              return ps::combine(m, test::throwing_source(7, {0, 3}) | ps::filter([](int i) { return i % 3 != 1; }), test::throwing_source(4, {1, 3}) | ps::filter([](int i) { return i % 5 != 0; }));
          }, 3, 60, shown_step{}) == "");
    CHECK(test::resume_differs([&] { return ps::combine(m, test::keyed_source(7, {1, 2}, {4}), test::keyed_source(4, {1, 2}, {2})); }, 3, 60, shown_step{}) == "");
}

TEST_CASE("combine: on every rank the same steps, and every item once", "[unit][combine]") {
    auto const m = GENERATE(how::max_size, how::max_size_cycle, how::sequential, how::min_size);
    for (std::uint32_t size : {1u, 2u, 3u}) {
        std::vector<int> a(8, 0), b(5, 0);
        std::vector<std::vector<std::string>> shape;  // which places are filled, with batches of one
        for (std::uint32_t r = 0; r != size; ++r) {
            auto p = ps::combine(m, test::keyed_source(8, {r, size}), test::keyed_source(5, {r, size}) | ps::map([](int i) { return i + 5000; }));
            std::uint64_t count = 0;
            for (; auto item = p.next(); ++count) {
                if (auto const& x = std::get<0>(item->value); x && *x < 8) ++a[static_cast<std::size_t>(*x)];
                if (auto const& x = std::get<1>(item->value); x && *x < 5005) ++b[static_cast<std::size_t>(*x - 5000)];
                CHECK(!item->cover.empty());
            }
            CHECK(count <= p.world_max());
            auto q = ps::combine(m, test::keyed_source(8, {r, size}) | ps::batch(1), test::keyed_source(5, {r, size}) | ps::batch(1));
            auto const most = q.world_max();
            shape.emplace_back();
            while (auto item = q.next()) shape.back().push_back(std::string(std::get<0>(*item) ? "a" : "-") + (std::get<1>(*item) ? "b" : "-"));
            CHECK(shape.back().size() == most);
            CHECK(shape.back() == shape.front());
        }
        if (m == how::min_size) continue;
        CHECK(a == std::vector<int>(8, 1));
        CHECK(b == std::vector<int>(5, 1));
    }
}

TEST_CASE("combine: batches tell which source they came through", "[unit][combine]") {
    auto p = ps::combine(how::min_size, ps::named("a", ps::range(2) | ps::batch(2)), ps::range(2) | ps::batch(2));
    auto const item = p.next();
    REQUIRE(item);
    CHECK(std::get<0>(*item)->source == "a");
    CHECK(std::get<1>(*item)->source == "1");
}

TEST_CASE("combine: an empty source never turns for ever, and the hint is what comes", "[unit][combine]") {
    for (auto m : {how::min_size, how::max_size_cycle}) {
        auto p = ps::combine(m, ps::range(3), ps::named("none", ps::range(0)));
        for (int again = 0; again != 2; ++again)
            CHECK(test::error_of<ps::config_error>([&] { return p.next(); }).find("source 'none' must have an item, got an empty one\n  HINT: ") != std::string::npos);
        auto q = ps::combine(m, ps::named("none", ps::range(3) | ps::filter([](auto) { return false; })), ps::range(3));
        for (int again = 0; again != 2; ++again) CHECK(test::error_of<ps::stage_error>([&] { return q.next(); }).find("source 'none' yielded nothing in pass 0") != std::string::npos);
    }
    CHECK((ps::combine(how::max_size, ps::range(0), ps::range(2)) | ps::collect()).size() == 2);
    CHECK((ps::combine(how::sequential, ps::range(0), ps::range(2), ps::range(0)) | ps::collect()).size() == 2);
    CHECK((ps::combine(how::max_size, ps::range(0), ps::range(0)) | ps::collect()).empty());
}

TEST_CASE("combine: another mode than the saved one is named", "[unit][combine]") {
    auto const saved = ps::combine(how::max_size, ps::range(3), ps::range(3)).save();
    auto other = ps::combine(how::sequential, ps::range(3), ps::range(3));
    CHECK(test::error_of<ps::state_error>([&] { return other.load(saved), 0; }).find("saved in mode number 1, this is mode number 3\n  HINT: ") != std::string::npos);
}

TEST_CASE("combine: a state is refused over sources of another length that take it themselves", "[unit][combine]") {
    auto const make = [](std::int64_t n) { return ps::combine(how::max_size_cycle, ps::named("a", ps::pipeline(test::pliant_source(n)) | ps::batch(2)), ps::named("b", ps::range(6) | ps::batch(2))); };
    auto p = make(8);
    (void)p.next();
    auto const saved = p.save();
    auto const refused = [&](std::int64_t n) { return test::error_of<ps::state_error>([&] { auto other = make(n); return other.load(saved), 0; }); };
    CHECK(refused(12).find("load: combine: source 'a' was saved with 4 of 4 turns per pass, here it has 6\n  HINT: read the data that was read then") != std::string::npos);
    CHECK(refused(8) == "");
}
