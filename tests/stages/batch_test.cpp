#include <penstock/stages/batch.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/shuffle.hpp>
#include <support/battery.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
std::vector<std::vector<int>> chunks(std::vector<int> const& in, std::size_t n) {
    std::vector<std::vector<int>> out;
    for (std::size_t i = 0; i < in.size(); i += n) out.emplace_back(in.begin() + static_cast<std::ptrdiff_t>(i), in.begin() + static_cast<std::ptrdiff_t>((std::min)(i + n, in.size())));
    return out;
}
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
    // clang-format off
    auto got =
    // example-begin batch
    range(5) | batch(2)    // [0 1] [2 3] [4]
    // example-end
    | collect();
    // clang-format on
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
        std::optional<std::uint64_t> world_max() const { return 4; }
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
    CHECK(refused.find("batch(4) was saved as batch(3)") != refused.npos);
}
