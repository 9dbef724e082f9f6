// from_range over views of range-v3, and the way there and back: a view, a pipeline, a view again.
#include <penstock/sources/from_range.hpp>

#include <penstock/ranges/as_view.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/take.hpp>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/iota.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/transform.hpp>

#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace rv = ranges::views;

TEST_CASE("from_range: a random-access view of range-v3 is resumed by index", "[unit][ranges]") {
    auto make = [] { return ps::from_range(rv::iota(0, 10) | rv::transform([](int i) { return i * i; })); };
    auto p = make();
    for (int i = 0; i != 4; ++i) CHECK(p.next() == i * i);
    auto q = make();
    q.load(p.save());
    CHECK(q.next() == 16);
    q.reset(0, 1);
    CHECK((make() | ps::take(3) | ps::collect()) == std::vector{0, 1, 4});
    CHECK(q.next() == 0);
}

TEST_CASE("from_range: a view over a pipeline is a source again, and pulls no more than it is asked for", "[unit][ranges]") {
    auto const numbers = ps::from_range(rv::iota(0, 100)) | ps::as_view();
    auto odd = ps::from_range(numbers | rv::filter([](int i) { return i % 2 == 1; })) | ps::map([](int i) { return 10 * i; });
    CHECK(odd.next() == 10);
    CHECK(odd.next() == 30);
    CHECK((numbers | rv::take(2) | ranges::to<std::vector>()) == std::vector{4, 5});
}
