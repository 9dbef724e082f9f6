#include <penstock/stages/dedup.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/map_keyed.hpp>
#include <support/battery.hpp>

#include <memory>
#include <random>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
/// The definition: an item passes if no item among the n before it has its key.
template <class Key>
std::vector<int> fresh(std::vector<int> const& in, std::size_t n, Key by) {
    std::vector<int> out;
    for (std::size_t i = 0; i != in.size(); ++i) {
        bool seen = false;
        for (std::size_t j = i - (std::min)(i, n); j != i; ++j) seen = seen || by(in[j]) == by(in[i]);
        if (!seen) out.push_back(in[i]);
    }
    return out;
}
/// Equal now and then, at distances that vary.
int scattered(int i) { return static_cast<int>(ps::mix64(static_cast<std::uint64_t>(i)) % 9); }
}  // namespace

TEST_CASE("dedup: stage contract, by captures an int", "[unit][dedup]") {
    int const n = GENERATE(1, 3, 100);
    int const plus = 5;
    test::battery(test::stage_case{
        .name = "dedup(n, scattered)",
        .make = [=](auto src) { return std::move(src) | ps::dedup(n, [plus](auto const& i) { return scattered(test::number(i)) + plus; }); },
        .model = [=](std::vector<int> const& in) { return fresh(in, static_cast<std::size_t>(n), scattered); },
    });
}

TEST_CASE("dedup: stage contract, by captures a unique_ptr and returns text", "[unit][dedup]") {
    test::battery(test::stage_case{
        .name = "dedup(4, pairs)",
        .make = [](auto src) {
            return std::move(src) | ps::dedup(4, [half = std::make_unique<int>(2)](auto const& i) { return std::to_string(test::number(i) / *half); });
        },
        .model = [](std::vector<int> const& in) { return fresh(in, 4, [](int i) { return i / 2; }); },
    });
}

TEST_CASE("dedup: the example", "[unit][dedup]") {
    using namespace ps;
    auto got =
    // example-begin dedup
    from_vector({1, 2, 2, 3, 1}) | dedup(2, [](int i) { return i; })    // 1 2 3 1
    // example-end
    | collect();
    CHECK(got == std::vector{1, 2, 3, 1});
}

TEST_CASE("dedup: as its definition says, for every window, over many random streams", "[unit][dedup]") {
    std::mt19937 random(3);
    for (int round = 0; round != 200; ++round) {
        std::vector<int> in(60);
        auto const values = 1 + random() % 12;
        for (auto& i : in) i = static_cast<int>(random() % values);
        auto const n = 1 + static_cast<std::int64_t>(random() % 15);
        CHECK((ps::from_vector(in) | ps::dedup(n) | ps::collect()) == fresh(in, static_cast<std::size_t>(n), [](int i) { return i; }));
    }
}

TEST_CASE("dedup: of keyed items the names are compared, and the next item stands for the dropped ones", "[unit][dedup]") {
    auto p = test::keyed_source(6) | ps::map_keyed([](auto k) {
                 k.key = k.id < 3 ? "same" : k.key;
                 return k;
             }) | ps::dedup(100);
    std::vector<std::uint64_t> covers;
    while (auto item = p.next()) covers.push_back(item->cover.count());
    CHECK(covers == std::vector<std::uint64_t>{1, 3, 1, 1});
    CHECK_FALSE(p.world_max());
    p.reset(0, 1);
    CHECK(p.next());  // an epoch does not look back into the one before
    auto ends = test::keyed_source(3) | ps::dedup(5, [](int) { return 0; });
    CHECK(ends.next());
    CHECK_FALSE(ends.next());
    CHECK(ends.trailing().count() == 2);
}

TEST_CASE("dedup: text that is only a view of the item is remembered by value", "[unit][dedup]") {
    std::vector<std::string> const in{"a long text that is stored outside of the string", "b", "a long text that is stored outside of the string"};
    CHECK((ps::from_vector(in) | ps::dedup(5, [](std::string const& s) { return std::string_view(s); }) | ps::collect()).size() == 2);
    CHECK((ps::from_vector(in) | ps::dedup(5, [](std::string const& s) { return s.c_str(); }) | ps::collect()).size() == 2);
}

TEST_CASE("dedup: an item whose key cannot be told takes its place in the window, also over a load", "[unit][dedup]") {
    auto make = [] {
        return ps::from_vector({7, -1, 7, 8, -1, 9, 8, 7}) | ps::dedup(2, [](int i) {
                   if (i < 0) throw std::out_of_range("negative");
                   return i;
               });
    };
    auto event = [](auto& p) {
        try {
            auto const i = p.next();
            return i ? *i : 0;
        } catch (std::out_of_range const&) {
            return -1;
        }
    };
    std::vector<int> all;
    auto p = make();
    for (int i = 0; i != 8; ++i) all.push_back(event(p));
    CHECK(all == std::vector{7, -1, 8, -1, 9, 8, 7, 0});  // the second 7 is one of the last two
    for (std::size_t k = 0; k != 8; ++k) {
        auto first = make();
        for (std::size_t i = 0; i != k; ++i) (void)event(first);
        auto q = make();
        q.load(first.save());
        for (std::size_t i = k; i != 8; ++i) CHECK(event(q) == all[i]);
    }
}

TEST_CASE("dedup: state stays small, a load makes the last n items and no more", "[unit][dedup]") {
    auto make = [](std::shared_ptr<test::probe> log) { return test::counting_source(2000, std::move(log)) | ps::dedup(50); };
    auto p = make(std::make_shared<test::probe>());
    for (int i = 0; i != 1000; ++i) (void)p.next();
    auto const saved = p.save();
    CHECK(saved.text().size() < 400);
    auto const log = std::make_shared<test::probe>();
    auto q = make(log);
    q.load(saved);
    CHECK(log->made == 50);
    CHECK(log->discards <= 16);
    CHECK(q.next() == 1000);
}

TEST_CASE("dedup: a bad argument and another window are named", "[unit][dedup]") {
    auto const text = test::error_of<ps::config_error>([] { return ps::dedup(0); });
    CHECK(text.find("got 0\n  HINT: ") != text.npos);
    auto other = ps::range(9) | ps::dedup(3);
    auto const refused = test::error_of<ps::state_error>([&] { return other.load((ps::range(9) | ps::dedup(4)).save()), 0; });
    CHECK(refused.find("dedup was saved with window 4, this one has 3") != refused.npos);
}
