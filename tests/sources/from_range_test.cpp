#include <penstock/sources/from_range.hpp>

#include <penstock/stages/collect.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>

#include <array>
#include <deque>
#include <forward_list>
#include <list>
#include <ranges>
#include <span>
#include <sstream>
#include <string>
#include <string_view>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
auto const model = [](int n, test::facts const&) { return test::detail::numbers({.n = n}, 0, false); };
template <class C>
C filled(int n) {
    C c;
    for (int i = n; i-- != 0;) c.push_front(i);
    return c;
}
}  // namespace

TEST_CASE("from_range: source contract, random access", "[unit][from_range]") {
    test::battery(test::source_case{.name = "from_range(deque)", .make = [](int n, ps::world) { return ps::from_range(filled<std::deque<int>>(n)); }, .model = model});
    test::battery(test::source_case{.name = "from_range(iota)", .make = [](int n, ps::world) { return ps::from_range(std::views::iota(0, n)); }, .model = model});
}

TEST_CASE("from_range: source contract, forward", "[unit][from_range]") {
    test::battery(test::source_case{.name = "from_range(forward_list)", .make = [](int n, ps::world) { return ps::from_range(filled<std::forward_list<int>>(n)); }, .model = model, .resumes = false});
    test::battery(test::source_case{.name = "from_range(list)", .make = [](int n, ps::world) { return ps::from_range(filled<std::list<int>>(n)); }, .model = model, .resumes = false});
    auto const view = [](int n, ps::world) { return ps::from_range(std::views::iota(0, 2 * n) | std::views::filter([](int i) { return i % 2 == 0; }) | std::views::transform([](int i) { return i / 2; })); };
    test::battery(test::source_case{.name = "from_range(filter view)", .make = view, .model = model, .resumes = false});
}

TEST_CASE("from_range: the example", "[unit][from_range]") {
    using namespace ps;
    auto got =
    // example-begin from_range
    from_range(std::list{10, 20, 30}) | collect()    // 10 20 30
    // example-end
    ;
    CHECK(got == std::vector{10, 20, 30});
}

TEST_CASE("from_range: what a range can do the source can do", "[unit][from_range]") {
    using vector = decltype(ps::from_range(std::vector<int>{}));
    using list = decltype(ps::from_range(std::list<int>{}));
    using forward_list = decltype(ps::from_range(std::forward_list<int>{}));
    using stream = decltype(ps::from_range(std::declval<std::ranges::istream_view<int>>()));
    STATIC_REQUIRE((ps::resumable<vector> && ps::resettable<vector>));
    STATIC_REQUIRE((!ps::resumable<list> && ps::resettable<list>));
    STATIC_REQUIRE((!ps::resumable<forward_list> && ps::resettable<forward_list>));
    STATIC_REQUIRE((!ps::resumable<stream> && !ps::resettable<stream>));
    STATIC_REQUIRE(std::is_same_v<decltype(ps::from_range(std::vector<bool>{}))::item_type, bool>);
}

TEST_CASE("from_range: what is read once is not read ahead", "[unit][from_range]") {
    std::istringstream in("1 2 3 4");
    auto p = ps::from_range(std::ranges::istream_view<int>(in));
    CHECK(p.next() == 1);
    CHECK(p.next() == 2);
    int rest = 0;
    in >> rest;
    CHECK(rest == 3);
    CHECK(p.next() == 4);
    CHECK_FALSE(p.next());
    CHECK_FALSE(p.next());
}

TEST_CASE("from_range: containers by reference, arrays, strings, views by name", "[unit][from_range]") {
    std::vector<std::string> v{"a", "b"};
    auto p = ps::from_range(std::cref(v));
    v[1] = "changed";
    CHECK((std::move(p) | ps::collect()) == std::vector<std::string>{"a", "changed"});
    CHECK(v[0] == "a");
    int raw[] = {1, 2};
    CHECK((ps::from_range(std::ref(raw)) | ps::collect()) == std::vector{1, 2});
    CHECK((ps::from_range(std::array{4, 5}) | ps::collect()) == std::vector{4, 5});
    auto const text = std::string_view("ab");
    CHECK((ps::from_range(text) | ps::collect()) == std::vector{'a', 'b'});
    auto const part = std::span(raw).last(1);
    CHECK((ps::from_range(part) | ps::collect()) == std::vector{2});
    auto short_text = ps::from_range(std::string("xy"));  // its characters lie inside the string, which must not move
    CHECK(short_text.next() == 'x');
    auto moved = std::move(short_text);
    CHECK(moved.next() == 'y');
    CHECK_FALSE(moved.next());
}

TEST_CASE("from_range: elements that cannot be copied are moved out of a kept container, once", "[unit][from_range]") {
    std::list<test::move_only> l;
    l.emplace_back(4);
    l.emplace_back(5);
    l.emplace_back(6);
    auto p = ps::from_range(std::move(l));
    STATIC_REQUIRE(!ps::resettable<decltype(p)>);
    CHECK(p.hint() == ps::size_hint{3, 3});
    CHECK(p.next()->number() == 4);
    CHECK(ps::discard(p.inner()));
    CHECK(p.hint() == ps::size_hint{1, 1});
    CHECK(p.next()->number() == 6);
    CHECK_FALSE(ps::discard(p.inner()));
    CHECK_FALSE(p.next());
}

TEST_CASE("from_range: an element that throws is passed over, also by a load", "[unit][from_range]") {
    auto make = [] {
        return ps::from_range(std::views::iota(0, 5) | std::views::transform([](int i) { return i == 2 ? throw std::runtime_error("two") : i; }));
    };
    auto p = make();
    CHECK(p.next() == 0);
    CHECK(p.next() == 1);
    CHECK_THROWS_WITH(p.next(), "two");
    auto q = make();
    q.load(p.save());
    CHECK(p.next() == 3);
    CHECK(q.next() == 3);
    CHECK(q.hint() == ps::size_hint{1, 1});
    int seen = 0;
    auto sum = [&](int i) { return seen += i, true; };
    auto r = make();
    CHECK_THROWS_WITH(r.for_each_while(sum), "two");
    CHECK(r.next() == 3);
    CHECK(seen == 1);
    int calls = 0;
    auto f = ps::from_range(std::views::iota(0, 4) | std::views::filter([&](int i) { return ++calls, i == 1 ? throw std::runtime_error("one") : true; }));
    CHECK(f.next() == 0);
    CHECK_THROWS_WITH(f.next(), "one");
    CHECK(f.next() == 2);
    CHECK(f.next() == 3);
    CHECK_FALSE(f.next());
}

TEST_CASE("from_range: a state of another range is named", "[unit][from_range]") {
    auto p = ps::from_range(std::vector{1, 2, 3});
    (void)p.next();
    auto other = ps::from_range(std::vector{1, 2});
    auto const refused = test::error_of<ps::state_error>([&] { return other.load(p.save()), 0; });
    CHECK(refused.find("saved at 1 of 3, this one has 2\n  HINT: ") != refused.npos);
}
