#include <penstock/stages/max_by.hpp>

#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <support/battery.hpp>

#include <memory>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("max_by: the example", "[unit][max_by]") {
    using namespace ps;
    auto got =
    // example-begin max_by
    from_vector({3, -1, 1}) | max_by([](int i) { return -i * i; })    // 1
    // example-end
    ;
    CHECK(got == 1);
}

TEST_CASE("max_by: of equal keys the last counts; each key is made once", "[unit][max_by]") {
    int calls = 0;
    auto half = [&, two = std::make_unique<int>(2)](int i) { return ++calls, i / *two; };
    CHECK((ps::from_vector({4, 5, 3, 2, 5, 4}) | ps::max_by(std::move(half))) == 4);
    CHECK(calls == 6);
    CHECK_FALSE((ps::range(0) | ps::max_by([](auto i) { return i; })));
    CHECK((ps::range(9) | ps::max_by([](auto i) { return std::to_string(i); })) == 8);
}

TEST_CASE("max_by: keyed items keep who they are, and f sees the value; errors name the sample", "[unit][max_by]") {
    CHECK((test::keyed_source(9) | ps::max_by([](int i) { return i; }))->id == 8u);
    CHECK((ps::pipeline(test::debug_source<test::as_move_only>({.n = 9})) | ps::max_by([](auto const& i) { return i.number(); }))->number() == 8);
    auto const text = test::error_of<ps::stage_error>([] { return test::keyed_source(9) | ps::max_by([](int i) { return i == 2 ? throw std::runtime_error("two") : i; }); });
    CHECK(text.find("max_by, sample 'k2' (id 2): two") != text.npos);
}
