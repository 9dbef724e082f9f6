#include <penstock/stages/enumerate.hpp>

#include <penstock/core/ledger.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/stages/collect.hpp>
#include <support/battery.hpp>

#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
struct show {
    template <class Item>
    std::string operator()(Item const& item) const {
        if constexpr (ps::is_keyed<Item>) return (*this)(item.value);
        else return std::to_string(item.index) + ":" + std::to_string(test::number(item.value));
    }
};
}  // namespace

TEST_CASE("enumerate: stage contract", "[unit][enumerate]") {
    test::battery(test::stage_case{
        .name = "enumerate()",
        .make = [](auto src) { return std::move(src) | ps::enumerate(); },
        .model = [](std::vector<int> const& in) {
            std::vector<ps::numbered<int>> out;
            for (auto const i : in) out.push_back({out.size(), i});
            return out;
        },
        .show = show{},
    });
}

TEST_CASE("enumerate: the example", "[unit][enumerate]") {
    using namespace ps;
    auto got =
    // example-begin enumerate
    from_vector({'a', 'b'}) | enumerate()    // {0, 'a'} {1, 'b'}
    // example-end
    | collect();
    CHECK((got == std::vector<numbered<char>>{{0, 'a'}, {1, 'b'}}));
}

TEST_CASE("enumerate: of a keyed item the value is numbered, on every rank from 0", "[unit][enumerate]") {
    auto p = test::keyed_source(6, {1, 2}, {4}) | ps::enumerate();
    CHECK(p.world_max() == 3u);
    auto const item = p.next();
    auto const& [index, value] = item->value;
    CHECK(index == 0);
    CHECK(value == 3);
    CHECK(item->id == 3);
    CHECK(item->key == "k3");
    CHECK(item->cover.count() == 1);
    CHECK_THROWS_AS(p.next(), ps::stage_error);
    CHECK(p.next()->value.index == 1);  // the one that threw has no number
}

TEST_CASE("enumerate: counts per rank, so it refuses an epoch that another world began", "[unit][enumerate]") {
    ps::ledger used;
    auto p = test::keyed_source(4) | ps::enumerate();
    auto const text = test::error_of<ps::state_error>([&] { return p.reset(ps::epoch{}, used), 0; });
    CHECK(text.find("enumerate") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    p.reset(0, 0);
    CHECK(p.next());
}
