#include <penstock/ranges/via.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/take.hpp>
#include <support/battery.hpp>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/cache1.hpp>
#include <range/v3/view/chunk.hpp>
#include <range/v3/view/enumerate.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/join.hpp>
#include <range/v3/view/repeat_n.hpp>
#include <range/v3/view/stride.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/take_while.hpp>
#include <range/v3/view/transform.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace rv = ranges::views;
namespace test = penstock::test;

namespace {

using test::number;
std::vector<int> odd_ones(std::vector<int> in) {
    std::erase_if(in, [](int i) { return i % 2 == 0; });
    return in;
}
auto const is_odd = [](auto const& i) { return number(i) % 2 != 0; };
std::vector<std::vector<int>> in_pairs(std::vector<int> const& in) {
    std::vector<std::vector<int>> out;
    for (std::size_t i = 0; i != in.size(); ++i) {
        if (i % 2 == 0) out.emplace_back();
        out.back().push_back(in[i]);
    }
    return out;
}

struct odd_or_throw {
    bool operator()(std::int64_t i) const { return i == 3 ? throw std::out_of_range("three") : i % 2 != 0; }
};

}  // namespace

TEST_CASE("via: stage contract, a filter of range-v3 declared per_item", "[unit][via]") {
    int const zero = 0;
    test::battery(test::stage_case{
        .name = "via(views::filter(odd), per_item)",
        .make = [zero](auto src) { return std::move(src) | ps::via([zero](auto& in) { return in | rv::filter([zero](auto const& i) { return number(i) % 2 != zero; }); }, ps::per_item); },
        .model = odd_ones,
        .drops = true,
    });
}

TEST_CASE("via: stage contract, views of the standard library, per_item, fn captures a unique_ptr", "[unit][via]") {
    test::battery(test::stage_case{
        .name = "via(std transform | filter, per_item)",
        .make = [](auto src) {
            return std::move(src) | ps::via([plus = std::make_unique<int>(1)](auto& in) {
                return in | std::views::transform([p = plus.get()](auto const& i) { return number(i) + *p; }) | std::views::filter(is_odd);
            }, ps::per_item);
        },
        .model = [](std::vector<int> in) {
            for (auto& i : in) ++i;
            return odd_ones(in);
        },
        .drops = true,
    });
}

TEST_CASE("via: stage contract, chunks of range-v3, which keep a position of their own", "[unit][via]") {
    test::battery(test::stage_case{
        .name = "via(views::chunk(2))",
        .make = [](auto src) {
            return std::move(src) | ps::via([](auto& in) { return in | rv::chunk(2) | rv::transform([](auto part) {
                std::vector<int> all;
                for (auto&& i : part) {
                    if constexpr (ps::is_keyed<std::remove_cvref_t<decltype(i)>>) all.push_back(number(i.value));
                    else all.push_back(number(i));
                }
                return all;
            }); });
        },
        .model = in_pairs,
        .drops = true,
        .resumes = false,
    });
}

TEST_CASE("via: stage contract, a filter of the standard library that is not declared", "[unit][via]") {
    test::battery(test::stage_case{
        .name = "via(std::views::filter(odd))",
        .make = [](auto src) {
            return std::move(src) | ps::via([](auto& in) { return in | std::views::filter([](auto const& i) {
                if constexpr (ps::is_keyed<std::remove_cvref_t<decltype(i)>>) return number(i.value) % 2 != 0;
                else return number(i) % 2 != 0;
            }); });
        },
        .model = odd_ones,
        .drops = true,
        .resumes = false,
    });
}

TEST_CASE("via: the example", "[unit][via]") {
    using namespace ps;
    auto got =
    // example-begin via
    range(6) | via([](auto& in) { return in | ranges::views::filter([](auto i) { return i % 2 == 0; }); }, per_item)    // 0 2 4
    // example-end
    | collect();
    CHECK(got == std::vector<std::int64_t>{0, 2, 4});
}

TEST_CASE("via: pulls what the view looks at, and no more", "[unit][via]") {
    test::ints src{.n = 10};
    auto p = test::by_ref(src) | ps::via([](auto& in) { return in | rv::take(3); });
    CHECK(src.pulls == 0);
    CHECK(p.next() == 0);
    CHECK(src.pulls == 1);
    while (p.next()) {}
    while (p.next()) {}
    CHECK(src.pulls == 3);

    test::ints more{.n = 10};
    auto q = test::by_ref(more) | ps::via([](auto& in) { return in | rv::filter([](int i) { return i % 2 != 0; }); }, ps::per_item) | ps::take(2);
    CHECK((std::move(q) | ps::collect()) == std::vector{1, 3});
    CHECK(more.pulls == 4);
}

TEST_CASE("via: fn is called once per epoch, and never to build", "[unit][via]") {
    int calls = 0;
    auto p = ps::range(4) | ps::via([&calls](auto& in) { return ++calls, in | rv::stride(2); });
    CHECK(calls == 0);
    while (p.next()) {}
    CHECK(calls == 1);
    p.reset(0, 1);
    CHECK(calls == 1);
    CHECK((std::move(p) | ps::collect()) == std::vector<std::int64_t>{0, 2});
    CHECK(calls == 2);
}

TEST_CASE("via: many values of one item, fewer values than items, values of another type", "[unit][via]") {
    auto joined = ps::range(3) | ps::via([](auto& in) { return in | rv::transform([](auto i) { return rv::repeat_n(i, i + 1); }) | rv::cache1 | rv::join; });
    CHECK((std::move(joined) | ps::collect()) == std::vector<std::int64_t>{0, 1, 1, 2, 2, 2});
    auto numbered = ps::from_vector<char>({'a', 'b'}) | ps::via([](auto& in) { return in | rv::enumerate; }) | ps::collect();
    REQUIRE(numbered.size() == 2);
    CHECK(numbered[1].first == 1);
    CHECK(numbered[1].second == 'b');
}

TEST_CASE("via: per_item keeps the identity of each value's item, and what stands for those passed over", "[unit][via]") {
    auto p = test::keyed_source(7) | ps::via([](auto& in) { return in | rv::filter([](int i) { return i % 3 == 2; }) | rv::transform([](int i) { return 10.0 * i; }); }, ps::per_item);
    static_assert(std::is_same_v<decltype(p)::item_type, ps::keyed<double>>);
    auto const two = p.next();
    REQUIRE(two);
    CHECK(two->value == 20.0);
    CHECK(two->id == 2);
    CHECK(two->key == "k2");
    CHECK(two->cover.count() == 3);
    CHECK(p.next()->cover.count() == 3);
    CHECK(!p.next());
    CHECK(p.trailing().count() == 1);
    CHECK(p.trailing().empty());
}

TEST_CASE("via: per_item, a function that fails names the sample and carries its positions", "[unit][via]") {
    auto p = test::keyed_source(5) | ps::via([](auto& in) { return in | rv::filter([](int i) { return i == 2 ? throw std::out_of_range("two") : i > 0; }); }, ps::per_item);
    CHECK(p.next()->cover.count() == 2);  // 0 and 1
    try {
        (void)p.next();
        FAIL("no error");
    } catch (ps::stage_error const& e) {
        CHECK(e.stage == "via");
        CHECK(e.where.key == "k2");
        CHECK(e.where.sample == 2u);
        CHECK(e.positions.count() == 1);
    }
    CHECK(p.next()->id == 3);
    // an error of the stages before is not this one's
    auto q = test::keyed_source(3, {}, {1}) | ps::via([](auto& in) { return in | rv::filter([](int) { return true; }); }, ps::per_item);
    CHECK(q.next()->id == 0);
    CHECK(test::error_of<ps::stage_error>([&] { return q.next(); }).starts_with("source: part.tar"));
    CHECK(q.next()->id == 2);
}

TEST_CASE("via: per_item with a view that ends early leaves the item it stopped at to trailing, and stays ended after a load", "[unit][via]") {
    auto make = [] { return test::keyed_source(6) | ps::via([](auto& in) { return in | rv::take_while([](int i) { return i < 3; }); }, ps::per_item); };
    auto p = make();
    while (p.next()) {}
    auto q = make();
    q.load(p.save());
    CHECK(!q.next());
    CHECK(q.trailing().count() == 1);
    CHECK(p.trailing().count() == 1);
    CHECK(q.hint() == ps::size_hint{0, 0u});
}

TEST_CASE("via: without per_item the view sees keyed items whole", "[unit][via]") {
    auto p = test::keyed_source(4) | ps::via([](auto& in) { return in | rv::filter([](auto const& item) { return item.key != "k1"; }); });
    std::vector<std::uint64_t> ids;
    while (auto item = p.next()) ids.push_back(item->id);
    CHECK(ids == std::vector<std::uint64_t>{0, 2, 3});
}

TEST_CASE("via: an error before, between and inside what a view gathers costs nothing else", "[unit][via]") {
    auto pairs = [](auto& in) { return in | rv::chunk(2) | rv::transform(ranges::to<std::vector>()); };
    auto p = test::throwing_source(7, {0, 3, 4, 6}) | ps::via(pairs);
    std::string events;
    while (events.size() < 100) try {
            auto item = p.next();
            if (!item) break;
            for (auto i : *item) events += std::to_string(i);
            events += ' ';
        } catch (ps::stage_error const& e) {
            events += 'k' + std::to_string(*e.where.sample) + ' ';
        }
    CHECK(events == "k0 12 k3 k4 k6 5 ");  // 6 was met while the chunk of 5 was being filled
}

TEST_CASE("via: a source that fails for ever does not hold the stage for ever", "[unit][via]") {
    struct failing {
        using item_type = int;
        int* left;
        std::optional<int> next() {
            if (--*left >= 0) throw std::runtime_error("no " + std::to_string(*left));
            return *left > -4 ? std::optional(*left) : std::nullopt;
        }
    };
    int left = 100;
    auto p = ps::pipeline(failing{&left}) | ps::via([](auto& in) { return in | rv::chunk(2) | rv::transform(ranges::to<std::vector>()); });
    std::vector<std::string> met;
    std::vector<std::vector<int>> got;
    while (true) try {
            auto item = p.next();
            if (!item) break;
            got.push_back(*item);
        } catch (std::runtime_error const& e) {
            if (met.empty()) CHECK(left > 70);
            met.push_back(e.what());
        }
    CHECK(met.size() == 100);
    CHECK(met.front() == "no 99");
    CHECK(met.back() == "no 0");
    CHECK(got == std::vector<std::vector<int>>{{-1, -2}, {-3}});
}

TEST_CASE("via: an exception of a function in the view consumes its item and nothing else", "[unit][via]") {
    auto read = [](auto p) {
        std::vector<std::int64_t> got;
        int errors = 0;
        for (int i = 0; i != 20; ++i) try {
                if (auto item = p.next()) got.push_back(*item);
            } catch (std::out_of_range const&) {
                ++errors;
            }
        CHECK(errors == 1);
        return got;
    };
    std::vector<std::int64_t> const wanted{1, 5, 7}, all{0, 1, 2, 4, 5, 6, 7};
    auto filtered = [](auto& in) { return in | rv::filter(odd_or_throw{}); };
    auto std_filtered = [](auto& in) { return in | std::views::filter(odd_or_throw{}); };
    auto transformed = [](auto& in) { return in | rv::transform([](auto i) { return i == 3 ? throw std::out_of_range("three") : i; }); };
    CHECK(read(ps::range(8) | ps::via(filtered)) == wanted);
    CHECK(read(ps::range(8) | ps::via(filtered, ps::per_item)) == wanted);
    CHECK(read(ps::range(8) | ps::via(std_filtered)) == wanted);
    CHECK(read(ps::range(8) | ps::via(std_filtered, ps::per_item)) == wanted);
    CHECK(read(ps::range(8) | ps::via(transformed)) == all);
    CHECK(read(ps::range(8) | ps::via(transformed, ps::per_item)) == all);
    // the first item, which begin() looks at
    auto from_three = [] { return ps::from_vector<std::int64_t>({3, 4, 5}); };
    CHECK(read(from_three() | ps::via(filtered)) == std::vector<std::int64_t>{5});
    CHECK(read(from_three() | ps::via(filtered, ps::per_item)) == std::vector<std::int64_t>{5});
    CHECK(read(from_three() | ps::via(std_filtered)) == std::vector<std::int64_t>{5});
    CHECK(read(from_three() | ps::via(transformed)) == std::vector<std::int64_t>{4, 5});
}

TEST_CASE("via: per_item is checked: a second value of the same item is an error, not a wrong position", "[unit][via]") {
    auto p = ps::range(3) | ps::via([](auto& in) { return in | rv::transform([](auto i) { return rv::repeat_n(i, 2); }) | rv::cache1 | rv::join; }, ps::per_item);
    CHECK(p.next() == 0);
    auto const text = test::error_of<ps::stage_error>([&] { return p.next(); });
    CHECK(text.find("declared per_item, but made a value without taking an item") != text.npos);
    CHECK(text.find("HINT: leave per_item out") != text.npos);
}

TEST_CASE("via: moves while it runs, and dies in the middle", "[unit][via]") {
    auto p = ps::range(10) | ps::via([](auto& in) { return in | rv::chunk(3) | rv::transform(ranges::to<std::vector>()); });
    CHECK(p.next() == std::vector<std::int64_t>{0, 1, 2});
    auto q = std::move(p);
    CHECK(q.next() == std::vector<std::int64_t>{3, 4, 5});
    auto r = std::make_unique<decltype(q)>(std::move(q));
    CHECK(r->next() == std::vector<std::int64_t>{6, 7, 8});
    auto s = std::move(*r);
    r.reset();
    CHECK(s.next() == std::vector<std::int64_t>{9});
    CHECK(!s.next());
}

TEST_CASE("via: a chain over it can be saved exactly if it is declared per_item", "[unit][via]") {
    auto saves = [](auto const& p) { return requires { p.save(); }; };
    auto shuffled = ps::range(3) | ps::via([](auto& in) { return in | rv::take(2); }) | ps::shuffle(2);
    CHECK(!saves(shuffled));
    CHECK((std::move(shuffled) | ps::collect()).size() == 2);
    CHECK(saves(ps::range(3) | ps::via([](auto& in) { return in | rv::filter([](auto i) { return i != 1; }); }, ps::per_item) | ps::shuffle(2)));
}
