#include <penstock/stages/zip.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/permuted.hpp>
#include <penstock/sources/planned_reader.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>
#include <support/branches.hpp>
#include <support/fake_shards.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::string pair_text(auto const& item) {
    if constexpr (ps::is_keyed<std::remove_cvref_t<decltype(item)>>) return pair_text(item.value);
    else return std::apply([](auto const&... one) { return ((test::shown{}(one) + ' ') + ...); }, item);
}
struct shown_pair {
    template <class Item>
    std::string operator()(Item const& item) const {
        if constexpr (requires { item.size(); }) return test::shown{}(item);
        else return pair_text(item);
    }
};
}  // namespace

TEST_CASE("zip: stage contract", "[unit][zip]") {
    test::battery(test::stage_case{
        .name = "zip(source, many items, many items)",
        .make = [](auto src) {
            auto b = test::beside(src, 3000), c = test::beside(src, 3000);
            return ps::zip(std::move(src), std::move(b), std::move(c));
        },
        .model = [](std::vector<int> const& in) {
            std::vector<std::tuple<int, int, int>> out;
            for (int i : in) out.emplace_back(i, i + 5000, i + 5000);  // the partners of an item that failed are gone as well
            return out;
        },
        .show = shown_pair{},
    });
}

TEST_CASE("zip: stage contract as a stage, the source last", "[unit][zip]") {
    test::battery(test::stage_case{
        .name = "many items | zip(source)",
        .make = [](auto src) {
            auto a = test::beside(src, 3000);
            return std::move(a) | ps::zip(std::move(src));
        },
        .model = [](std::vector<int> const& in) {
            std::vector<std::tuple<int, int>> out;
            for (int i : in) out.emplace_back(i + 5000, i);
            return out;
        },
        .show = shown_pair{},
    });
}

TEST_CASE("zip: the example", "[unit][zip]") {
    using namespace ps;
    auto p =
    // example-begin zip
    zip(range(3), from_vector<char>({'a', 'b'}))    // (0, a) (1, b)
    // example-end
    ;
    auto const got = std::move(p) | collect();
    CHECK(got == std::vector<std::tuple<std::int64_t, char>>{{0, 'a'}, {1, 'b'}});
}

TEST_CASE("zip: identity is that of the first keyed source, covers are those of all", "[unit][zip]") {
    auto p = ps::zip(ps::range(9), test::keyed_source(5), test::keyed_source(4) | ps::filter([](int i) { return i != 0; }));
    auto const item = p.next();
    REQUIRE(item);
    CHECK(item->id == 0);
    CHECK(item->key == "k0");
    CHECK(item->cover.count() == 3);  // its own, the partner's, and the one that the filter dropped before that
    CHECK(item->value == std::tuple<std::int64_t, int, int>{0, 0, 1});
}

TEST_CASE("zip: an item that fails takes its partners with it, and their covers go with the next tuple", "[unit][zip]") {
    auto p = ps::zip(test::keyed_source(6, {}, {1}), test::keyed_source(6, {}, {1, 2, 5}), test::keyed_source(6, {}, {2, 4}));
    std::vector<std::string> events;
    std::vector<std::uint64_t> covers;
    while (true) {
        try {
            auto item = p.next();
            if (!item) break;
            events.push_back(pair_text(item->value));
            covers.push_back(item->cover.count());
        } catch (ps::stage_error const& e) {
            events.push_back(e.where.key);
        }
    }
    CHECK(events == std::vector<std::string>{"0 0 0 ", "k1", "k1", "k2", "k2", "3 3 3 ", "k4", "k5"});
    CHECK(covers == std::vector<std::uint64_t>{3, 1 + 1 + 3});  // a failed item's own cover is the source's to hand on
    CHECK(p.trailing().count() == 2 + 2);
    CHECK(p.trailing().empty());
}

TEST_CASE("zip: resume at every position with errors in all sources", "[unit][zip]") {
    CHECK(test::resume_differs([] { return ps::zip(test::keyed_source(6, {}, {1}), test::keyed_source(7, {}, {1, 2, 5}), test::keyed_source(8, {}, {2, 4})); }, 2, 100, shown_pair{}) == "");
}

TEST_CASE("zip: shuffled data sets of equal shape stay in step, unless each is to have an order of its own", "[unit][zip]") {
    auto const read = [](std::string const& kind) {
        auto format = test::fake_shards{};
        for (int i = 0; i != 5; ++i) format.disk->shards[kind + std::to_string(i)] = {.samples = 6};
        return ps::shard_list(kind + "{0..4}", {.samples_per_shard = 6}) | ps::shuffle_shards() |
               ps::plan_stage("read_fake", [format](ps::shard_plan p) { return ps::planned_reader(std::move(p), format); }) | ps::map([](std::string const& v) { return v.substr(v.find_first_of("01234")); });
    };
    auto const differing = [](auto p, std::uint64_t seed) {
        int n = 0;
        p.reset(seed, 1);
        while (auto item = p.next()) {
            auto const& pair = ps::value(*item);
            n += std::get<0>(pair) != std::get<1>(pair);
        }
        return n;
    };
    int others = 0;
    for (std::uint64_t seed : {1u, 2u, 7u, 9u}) {
        CHECK(differing(ps::zip(read("img"), read("mesh")), seed) == 0);
        CHECK(differing(read("img") | ps::zip(ps::named("meshes", read("mesh"))), seed) == 0);
        CHECK(differing(ps::zip(ps::permuted(50), ps::permuted(50)), seed) == 0);
        CHECK(differing(ps::zip(ps::zip(ps::permuted(50), ps::permuted(50)), ps::zip(ps::permuted(50), ps::permuted(50))), seed) == 0);
        others += differing(ps::zip({.order = ps::zip_order::own}, read("img"), read("mesh")), seed);
        CHECK(differing(ps::permuted(50) | ps::zip(ps::permuted(50), {.order = ps::zip_order::own}), seed) > 30);
    }
    CHECK(others > 40);
    auto other = ps::zip({.order = ps::zip_order::own}, ps::range(3), ps::range(3));
    CHECK(test::error_of<ps::state_error>([&] { return other.load(ps::zip(ps::range(3), ps::range(3)).save()), 0; }).find("saved with another order") != std::string::npos);
}

TEST_CASE("zip: nothing is pulled after the end, and the item that found no partner is handed on as a cover", "[unit][zip]") {
    test::ints a{.n = 5}, b{.n = 2};
    auto p = ps::zip(test::by_ref(a), test::by_ref(b));
    while (p.next()) {}
    CHECK_FALSE(p.next());
    CHECK(a.pulls == 3);
    CHECK(b.pulls == 3);
    auto q = ps::zip(test::keyed_source(5), ps::range(2));
    while (q.next()) {}
    CHECK(q.trailing().count() == 1);
}

TEST_CASE("zip: world_max and hint are the smallest", "[unit][zip]") {
    auto p = ps::zip(test::keyed_source(10, {0, 3}), test::keyed_source(7, {0, 3}));
    CHECK(p.world_max() == 3u);
    CHECK(p.hint() == ps::size_hint{2, 2});
    CHECK(p.next());
    CHECK(p.hint() == ps::size_hint{1, 1});
    CHECK((ps::zip(ps::range(3), ps::range(5) | ps::filter([](auto) { return true; }))).hint() == ps::size_hint{0, 3});
}

TEST_CASE("zip: a damaged state is refused, before a tuple without items is made of it", "[unit][zip]") {
    auto const stands = [](int at, int broken) {
        auto const text = "penstock-state 1\npipeline 1 started=1 seed=0 epoch=0 key=0 line=0\nzip 2 order=0 at=" + std::to_string(at) + " broken=" + std::to_string(broken) +
                          " dropped=0\n0/range 1 n=3 at=0\n1/range 1 n=3 at=0\n";
        return test::error_of<ps::state_error>([&] {
            auto p = ps::zip(ps::range(3), ps::range(3));
            p.load(ps::state::parse(text));
            while (p.next()) {}
        });
    };
    for (auto [at, broken] : {std::pair(0, 1), std::pair(1, 0), std::pair(2, 0), std::pair(2, 1), std::pair(4, 0)}) {
        INFO(at << ' ' << broken);
        CHECK(stands(at, broken).find("HINT: the state is damaged") != std::string::npos);
    }
}
