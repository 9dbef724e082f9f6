#include <penstock/stages/batch.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/flat_map.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/on_error.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/take.hpp>
#include <penstock/stages/unbatch.hpp>
#include <support/battery.hpp>

#include <stdexcept>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::vector<std::vector<int>> chunks(std::vector<int> const& in, std::size_t n) {
    std::vector<std::vector<int>> out;
    for (std::size_t i = 0; i < in.size(); i += n) out.emplace_back(in.begin() + static_cast<std::ptrdiff_t>(i), in.begin() + static_cast<std::ptrdiff_t>((std::min)(i + n, in.size())));
    return out;
}
/// Knows the fewest items of any rank as well, as the readers of shards do.
template <class Input = test::as_is>
struct bounded_source : test::planned_source<Input> {
    using test::planned_source<Input>::planned_source;
    ps::chain_facts facts() const { return ps::share_of(static_cast<std::uint64_t>(this->spec().n), this->spec().world); }
};
auto bounded(int n, ps::world w = {}, std::vector<int> errors = {}) {
    using input = test::as_keyed<test::as_is>;
    return ps::pipeline(bounded_source<input>({.n = n, .world = w, .errors = std::move(errors)}, input{{}, n}));
}
constexpr auto drop = ps::batch_options{.remainder = ps::remainder::drop};
constexpr auto pad = ps::batch_options{.remainder = ps::remainder::pad};
}  // namespace

TEST_CASE("batch: stage contract", "[unit][batch]") {
    int const n = GENERATE(1, 2, 3, 100);
    test::battery(test::stage_case{
        .name = "batch(n)",
        .make = [n](auto src) { return std::move(src) | ps::batch(n); },
        .model = [n](std::vector<int> const& in) { return chunks(in, static_cast<std::size_t>(n)); },
    });
}

TEST_CASE("batch: stage contract behind a shuffle, and behind another batch", "[unit][batch]") {
    test::battery(test::stage_case{
        .name = "batch(2) | batch(3)",
        .make = [](auto src) { return std::move(src) | ps::batch(2) | ps::batch(3); },
        .model = [](std::vector<int> const& in) {
            std::vector<std::vector<std::vector<int>>> out;
            for (auto const& six : chunks(in, 6)) out.push_back(chunks(six, 2));
            return out;
        },
        .drops = true,  // a batch of batches carries no cover of its own
    });
}

TEST_CASE("batch: the example", "[unit][batch]") {
    using namespace ps;
    auto got =
    // example-begin batch
    range(5) | batch(2)    // [0 1] [2 3] [4]
    // example-end
    | collect();
    REQUIRE(got.size() == 3);
    CHECK(got[0].items == std::vector<std::int64_t>{0, 1});
    CHECK(got[1].items == std::vector<std::int64_t>{2, 3});
    CHECK(got[2].items == std::vector<std::int64_t>{4});
    CHECK(got[2].weight() == 1);
    CHECK(got[2].ids.empty());
}

TEST_CASE("batch: keyed items fill ids, covers, weights and pass", "[unit][batch]") {
    auto p = test::keyed_source(5) | ps::batch(3);
    p.reset(0, 2);
    auto const b = p.next();
    REQUIRE(b);
    CHECK(b->ids == std::vector<std::uint64_t>{0, 1, 2});
    CHECK(b->weights == std::vector<double>{1, 1, 1});
    CHECK(b->pass == 2);
    CHECK(b->weight() == 3);
    CHECK(b->cover.count() == 3);
    b->cover.each([](ps::interval i) { CHECK(i == ps::interval{10, 13}); });
}

TEST_CASE("batch: every rank yields as many batches, the last ones short or empty with weight 0", "[unit][batch]") {
    for (int n = 0; n != 25; ++n)
        for (std::uint32_t size = 1; size != 6; ++size)
            for (int b : {1, 2, 3, 7}) {
                auto const most = (n + static_cast<int>(size) - 1) / static_cast<int>(size);
                std::size_t const wanted = static_cast<std::size_t>((most + b - 1) / b);
                double weight = 0;
                for (std::uint32_t r = 0; r != size; ++r) {
                    auto p = test::keyed_source(n, {r, size}) | ps::batch(b);
                    CHECK(p.world_max() == wanted);
                    CHECK(p.hint() == ps::size_hint{wanted, wanted});
                    auto const all = std::move(p) | ps::collect();
                    CHECK(all.size() == wanted);
                    for (auto const& one : all) weight += one.weight();
                }
                CHECK(weight == n);
            }
    auto nothing = test::keyed_source(1, {0, 2}) | ps::batch(4);
    auto const b = nothing.next();
    REQUIRE(b);
    CHECK(b->empty());
    CHECK(b->weight() == 0);
    CHECK_FALSE(nothing.next());
}

TEST_CASE("batch: the number of batches is kept over a load between the empty ones", "[unit][batch]") {
    auto make = [] { return test::keyed_source(5, {0, 2}) | ps::shuffle(2) | ps::batch(1); };  // 2 items, 3 batches
    for (std::size_t k = 0; k != 4; ++k) {
        auto p = make();
        for (std::size_t i = 0; i != k; ++i) REQUIRE(p.next());
        auto q = make();
        q.load(p.save());
        CHECK(q.hint() == ps::size_hint{3 - k, 3 - k});
        CHECK((std::move(q) | ps::collect()).size() == 3 - k);
    }
}

TEST_CASE("batch: an exception leaves the gathered items in place, also over a save", "[unit][batch]") {
    auto make = [] { return test::keyed_source(7, {}, {1, 3, 4}) | ps::batch(3); };
    auto p = make();
    for (int error = 0; error != 3; ++error) {
        CHECK_THROWS_AS(p.next(), ps::stage_error);
        auto q = make();
        q.load(p.save());
        for (int rest = error + 1; rest != 3; ++rest) CHECK_THROWS_AS(q.next(), ps::stage_error);
        CHECK(q.next()->ids == std::vector<std::uint64_t>{0, 2, 5});
        CHECK(q.next()->ids == std::vector<std::uint64_t>{6});
    }
    auto const b = p.next();
    REQUIRE(b);
    CHECK(b->ids == std::vector<std::uint64_t>{0, 2, 5});
    CHECK(b->cover.count() == 3);
}

TEST_CASE("batch: covers dropped after the last item join the last batch", "[unit][batch]") {
    auto p = test::keyed_source(6) | ps::filter([](int i) { return i < 3; }) | ps::batch(2);
    CHECK(p.next()->cover.count() == 2);
    CHECK(p.next()->cover.count() == 4);
    CHECK_FALSE(p.next());
}

TEST_CASE("batch: more items than promised are an error, not a loss", "[unit][batch]") {
    struct liar : test::debug_source<> {
        using test::debug_source<>::debug_source;
        ps::chain_facts facts() const { return ps::whole_of(4); }
    };
    auto p = ps::pipeline(liar({.n = 5})) | ps::batch(2);
    CHECK(p.next());
    auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
    CHECK(text.find("promised at most 4 items on any rank, and yielded more\n  HINT: ") != text.npos);
}

TEST_CASE("batch: a batch larger than the data asks for no more memory than the data, nor pulls after the end", "[unit][batch]") {
    auto const all = ps::range(3) | ps::batch(std::int64_t{1} << 60) | ps::collect();
    REQUIRE(all.size() == 1);
    CHECK(all[0].items.capacity() < 100);
    test::ints src{.n = 3};
    auto p = test::by_ref(src) | ps::batch(std::int64_t{1} << 60);
    CHECK(p.next()->size() == 3);
    CHECK_FALSE(p.next());
    CHECK_FALSE(p.next());
    CHECK(src.pulls == 4);
}

TEST_CASE("batch: a bad argument and another n are named", "[unit][batch]") {
    auto const text = test::error_of<ps::config_error>([] { return ps::batch(0); });
    CHECK(text.find("batch(n): n must be >= 1, got 0\n  HINT: ") != text.npos);
    auto const saved = (ps::range(9) | ps::batch(3)).save();
    auto other = ps::range(9) | ps::batch(4);
    auto const refused = test::error_of<ps::state_error>([&] { return other.load(saved), 0; });
    CHECK(refused.find("batch was saved with n 3, this one has 4") != refused.npos);
}

TEST_CASE("batch: stage contract, the remainder dropped", "[unit][batch]") {
    int const n = GENERATE(1, 2, 3, 100);
    test::battery(test::stage_case{
        .name = "batch(n, drop)",
        .make = [n](auto src) { return std::move(src) | ps::batch(n, drop); },
        .model = [n](std::vector<int> const& in) {
            auto all = chunks(in, static_cast<std::size_t>(n));
            if (!all.empty() && all.back().size() != static_cast<std::size_t>(n)) all.pop_back();
            return all;
        },
    });
}

TEST_CASE("batch: stage contract, the remainder padded", "[unit][batch]") {
    int const n = GENERATE(1, 2, 3, 100);
    test::battery(test::stage_case{
        .name = "batch(n, pad)",
        .make = [n](auto src) { return std::move(src) | ps::batch(n, pad); },
        .model = [n](std::vector<int> const& in) {
            auto all = chunks(in, static_cast<std::size_t>(n));
            if (!all.empty()) all.back().resize(static_cast<std::size_t>(n), all.back().back());
            return all;
        },
        .move_only = std::false_type{},
    });
}

TEST_CASE("batch: drop gives every rank as many full batches, and hands on the positions of the rest", "[unit][batch]") {
    for (int n = 0; n != 25; ++n)
        for (std::uint32_t size = 1; size != 6; ++size)
            for (int b : {1, 2, 3, 7}) {
                auto const wanted = static_cast<std::size_t>(n / static_cast<int>(size) / b);
                std::uint64_t covered = 0;
                for (std::uint32_t r = 0; r != size; ++r)
                    for (std::size_t k = 0; k <= wanted + 1; ++k) {  // saved after k batches
                        auto make = [&] { return bounded(n, {r, size}) | ps::map([](int i) { return i; }) | ps::batch(b, drop); };
                        auto p = make();
                        CHECK(p.world_max() == wanted);
                        CHECK(p.hint() == ps::size_hint{wanted, wanted});
                        std::size_t count = 0;
                        std::uint64_t mine = 0;
                        auto pull = [&](auto& chain) {
                            auto const one = chain.next();
                            if (!one) return false;
                            CHECK(one->size() == static_cast<std::size_t>(b));
                            ++count;
                            mine += one->cover.count();
                            return true;
                        };
                        for (std::size_t i = 0; i != k; ++i) pull(p);
                        auto q = make();
                        q.load(p.save());
                        while (pull(q)) {}
                        CHECK_FALSE(q.next());
                        mine += q.trailing().count();
                        CHECK(q.trailing().empty());
                        CHECK(count == wanted);
                        if (k == 0) covered += mine;
                        else CHECK(mine == bounded(n, {r, size}).hint().lower);
                    }
                CHECK(covered == static_cast<std::uint64_t>(n));
            }
}

TEST_CASE("batch: drop where nobody knows the smallest rank", "[unit][batch]") {
    auto p = test::keyed_source(7, {0, 2}) | ps::batch(2, drop);  // 3 items
    CHECK(p.world_max() == std::nullopt);
    CHECK(p.hint() == ps::size_hint{1, 1});
    CHECK(p.next()->ids == std::vector<std::uint64_t>{0, 1});
    CHECK_FALSE(p.next());
    auto q = test::keyed_source(7, {0, 2}) | ps::batch(2, drop);
    q.load(p.save());  // the dropped item is not handed on yet
    CHECK_FALSE(q.next());
    CHECK(q.trailing().count() == 1);
    CHECK(q.trailing().empty());
    auto const at_most = [](auto options) { return ps::facts_of(bounded(9, {0, 2}) | ps::on_error(ps::skips{}) | ps::batch(2, options)); };
    CHECK((!at_most(drop).counted && !at_most(drop).world_max));
    CHECK((at_most(ps::batch_options{}).counted && at_most(ps::batch_options{}).world_max == 3u));
    CHECK(ps::facts_of(bounded(9, {0, 2}) | ps::batch(2, drop)).counted);
    CHECK((bounded(9, {0, 2}) | ps::take(3) | ps::batch(2, drop)).world_max() == 1u);
    CHECK((bounded(9, {0, 2}) | ps::batch(2) | ps::batch(2, drop)).world_max() == 1u);           // 3 batches on either rank
}

TEST_CASE("batch: drop says so when an error left too few for the promised batches", "[unit][batch]") {
    auto p = bounded(4, {}, {1}) | ps::batch(2, drop);
    CHECK_THROWS_AS(p.next(), ps::stage_error);
    CHECK(p.next()->ids == std::vector<std::uint64_t>{0, 2});
    auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
    CHECK(text.find("promised at least 4 items on every rank, and yielded fewer\n  HINT: ") != text.npos);
    CHECK_FALSE(p.next());
    CHECK(p.trailing().count() == 1);
}

TEST_CASE("batch: pad fills up with the last item, of weight 0, marked", "[unit][batch]") {
    auto p = test::keyed_source(5) | ps::batch(3, pad);
    CHECK(p.next()->ids == std::vector<std::uint64_t>{0, 1, 2});
    auto const b = p.next();
    REQUIRE(b);
    CHECK(b->items == std::vector{3, 4, 4});
    CHECK(b->ids == std::vector<std::uint64_t>{3, 4, ps::padding});
    CHECK(b->weights == std::vector<double>{1, 1, 0});
    CHECK(b->cover.count() == 2);
    auto plain = ps::range(3) | ps::batch(2, pad);
    CHECK(plain.next()->weights.empty());
    auto const last = plain.next();
    CHECK(last->items == std::vector<std::int64_t>{2, 2});
    CHECK(last->weight() == 1);
}

TEST_CASE("batch: pad gives every batch of every rank the same shape, also over a load", "[unit][batch]") {
    for (int n = 1; n != 25; ++n)
        for (std::uint32_t size = 1; size != 6; ++size)
            for (int b : {1, 2, 3, 7}) {
                auto const most = (n + static_cast<int>(size) - 1) / static_cast<int>(size);
                std::size_t const wanted = static_cast<std::size_t>((most + b - 1) / b);
                for (std::uint32_t r = 0; r != size; ++r) {
                    auto make = [&] { return test::keyed_source(n, {r, size}) | ps::batch(b, pad); };
                    auto const mine = test::keyed_source(n, {r, size}).hint().lower;
                    for (std::size_t k = 0; k <= wanted; ++k) {
                        auto p = make();
                        CHECK(p.world_max() == wanted);
                        double weight = 0;
                        std::size_t count = 0;
                        int last = -1;
                        auto check = [&](auto const& one) {
                            ++count;
                            weight += one.weight();
                            CHECK(one.size() == (mine == 0 ? 0u : static_cast<std::size_t>(b)));
                            for (std::size_t i = 0; i != one.size(); ++i) {
                                if (one.weights[i] == 0) CHECK((one.ids[i] == ps::padding && one.items[i] == last));
                                last = one.items[i];
                            }
                        };
                        for (std::size_t i = 0; i != k; ++i) check(*p.next());
                        auto q = make();
                        q.load(p.save());
                        while (auto const one = q.next()) check(*one);
                        CHECK(count == wanted);
                        CHECK(weight == static_cast<double>(mine));
                    }
                }
            }
}

TEST_CASE("batch: pad repeats the last item also where skipped items leave several batches empty, and over a load", "[unit][batch]") {
    std::vector<int> const broken{4, 5, 6, 7, 8, 9, 10, 11};
    auto make = [&] { return test::keyed_source(12, {}, broken) | ps::on_error(ps::skips{.total = 8, .in_a_row = 8}) | ps::batch(3, pad); };
    std::vector<std::vector<int>> const wanted{{0, 1, 2}, {3, 3, 3}, {3, 3, 3}, {3, 3, 3}};
    for (std::size_t k = 0; k != 5; ++k) {
        auto p = make();
        for (std::size_t i = 0; i != k; ++i) CHECK(p.next()->items == wanted[i]);
        auto q = make();
        q.load(p.save());
        for (std::size_t i = k; i != 4; ++i) CHECK(q.next()->items == wanted[i]);
        CHECK_FALSE(q.next());
    }
}

TEST_CASE("batch: pad repeats the last item also behind items that fail", "[unit][batch]") {
    auto p = test::keyed_source(6) | ps::map([](int i) { return i < 4 ? i : throw std::runtime_error("broken"); }) | ps::batch(2, pad);
    CHECK(p.next()->items == std::vector{0, 1});
    CHECK(p.next()->items == std::vector{2, 3});
    CHECK_THROWS(p.next());
    CHECK_THROWS(p.next());
    auto const last = p.next();
    CHECK(last->items == std::vector{3, 3});
    CHECK(last->weight() == 0);
}

TEST_CASE("batch: batches of keyed batches resume inside one that an exception interrupted, and their padding stands for nothing", "[unit][batch]") {
    auto make = [] { return test::keyed_source(12, {}, {6}) | ps::batch(1) | ps::batch(4, pad); };
    auto p = make();
    CHECK(p.next()->size() == 4);
    CHECK_THROWS(p.next());
    auto q = make();
    q.load(p.save());
    auto const b = q.next();
    REQUIRE(b->size() == 4);
    CHECK(b->items.front().items == std::vector{4});
    auto r = test::keyed_source(11) | ps::batch(2) | ps::batch(4, pad) | ps::flat_map([](auto outer) { return std::move(outer.items); });
    std::uint64_t positions = 0;
    while (auto one = r.next()) positions += one->cover.count();
    CHECK(positions + r.trailing().count() == 11);
}

TEST_CASE("batch: a batch of batches stands for what they stand for, and for what was dropped behind them", "[unit][batch]") {
    auto p = test::keyed_source(9) | ps::filter([](int i) { return i < 7; }) | ps::batch(2) | ps::batch(3);
    CHECK(p.next()->cover.count() == 6);
    CHECK(p.next()->cover.count() == 3);
    CHECK_FALSE(p.next());
    auto q = test::keyed_source(9) | ps::filter([](int i) { return i < 7; }) | ps::batch(2) | ps::batch(3) | ps::unbatch();
    std::uint64_t positions = 0;
    while (auto b = q.next()) positions += b->cover.count();
    CHECK(positions + q.trailing().count() == 9);
}

TEST_CASE("batch: items of bool, which a vector packs", "[unit][batch]") {
    auto odd = [] { return ps::range(5) | ps::map([](std::int64_t i) { return i % 2 != 0; }); };
    auto p = odd() | ps::batch(2, pad);
    CHECK(p.next()->items == std::vector<bool>{false, true});
    auto q = odd() | ps::batch(2, pad);
    q.load(p.save());
    CHECK(q.next()->items == std::vector<bool>{false, true});
    CHECK(q.next()->items == std::vector<bool>{false, false});
    CHECK_FALSE(q.next());
}

TEST_CASE("batch: covers dropped behind a full last batch are handed on", "[unit][batch]") {
    auto p = test::keyed_source(6) | ps::filter([](int i) { return i < 4; }) | ps::batch(2);
    CHECK(p.next()->cover.count() == 2);
    CHECK(p.next()->cover.count() == 2);
    CHECK_FALSE(p.next());
    CHECK(p.trailing().count() == 2);
}

TEST_CASE("batch: padding what cannot be copied, and another remainder, are named", "[unit][batch]") {
    auto const text = test::error_of<ps::config_error>([] { return ps::pipeline(test::debug_source<test::as_move_only>({.n = 3})) | ps::batch(2, pad); });
    CHECK(text.find("padding copies items, which these cannot be") != text.npos);
    CHECK(text.find("\n  HINT: ") != text.npos);
    auto const saved = (ps::range(9) | ps::batch(3)).save();
    auto other = ps::range(9) | ps::batch(3, drop);
    auto const refused = test::error_of<ps::state_error>([&] { return other.load(saved), 0; });
    CHECK(refused.find("batch was saved with remainder 0, this one has 1") != refused.npos);
}
