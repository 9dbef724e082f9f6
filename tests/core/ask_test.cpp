#include <penstock/core/ask.hpp>
#include <penstock/core/batch_type.hpp>

#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace asks = penstock::asks;
using ps::detail::misfit;
using ps::detail::misfit_of;

// What is refused is in tests/compile_fail: here is what is accepted, and which of the sentences a refusal is.
namespace {
struct name {};
using sample = ps::keyed<name>;
using batch = ps::batch_of<int>;

template <class Result, class... Arguments>
using function = Result (*)(Arguments...);

struct only_mutable {
    int operator()(int) { return 0; }
};
struct other_as_const {
    int operator()(int) { return 0; }
    void operator()(int) const {}
};
}  // namespace

TEST_CASE("ask: a function gets the value of an item to take away, a look at it, or a look at the whole", "[unit][ask]") {
    using only_moves = std::unique_ptr<int>;
    STATIC_REQUIRE(asks::takes<"s", only_moves, function<void, only_moves>>());
    STATIC_REQUIRE(misfit_of<only_moves, function<void, only_moves&>>() == misfit::item);
    STATIC_REQUIRE(asks::takes<"s", only_moves const, function<void, only_moves const&>>());
    STATIC_REQUIRE(misfit_of<only_moves const, function<void, only_moves>>() == misfit::item);
    STATIC_REQUIRE(misfit_of<int const, function<void, int&>>() == misfit::item);

    STATIC_REQUIRE(asks::takes<"s", sample, function<void, name&&>>());
    STATIC_REQUIRE(asks::takes<"s", sample const, function<void, name const&>>());
    STATIC_REQUIRE(asks::takes<"s", sample const&, function<void, sample const&>>());
    STATIC_REQUIRE(misfit_of<sample const&, function<void, name>>() == misfit::whole);
    STATIC_REQUIRE(asks::takes<"s", ps::keyed<batch>, function<void, batch>>());
}

TEST_CASE("ask: what is said of a wrong argument fits the item", "[unit][ask]") {
    using of_int = function<int, int>;
    STATIC_REQUIRE(misfit_of<int, of_int>() == misfit::none);
    STATIC_REQUIRE(misfit_of<name, of_int>() == misfit::item);
    STATIC_REQUIRE(misfit_of<name const, of_int>() == misfit::item);
    STATIC_REQUIRE(misfit_of<sample, of_int>() == misfit::value);
    STATIC_REQUIRE(misfit_of<sample const, of_int>() == misfit::value);
    STATIC_REQUIRE(misfit_of<batch, of_int>() == misfit::batch);
    STATIC_REQUIRE(misfit_of<batch const, of_int>() == misfit::batch);
    STATIC_REQUIRE(misfit_of<ps::keyed<batch>, of_int>() == misfit::batch);
}

TEST_CASE("ask: what stands before the item is part of the call", "[unit][ask]") {
    STATIC_REQUIRE(asks::returns<"s", sample, function<int, double&, name>, double&>());
    STATIC_REQUIRE(asks::returns<"s", int, function<int, double, int>, double>());
    STATIC_REQUIRE(misfit_of<int, function<int, double&, int>, double>() == misfit::pair);
    STATIC_REQUIRE(misfit_of<int, function<int, int>, double>() == misfit::pair);
    STATIC_REQUIRE(misfit_of<sample, function<int, double, sample>, double>() == misfit::pair);
    STATIC_REQUIRE(misfit_of<batch, function<int, double, int>, double>() == misfit::batch_pair);
}

TEST_CASE("ask: what a function returns may be a value or a reference, and what converts where that is enough", "[unit][ask]") {
    STATIC_REQUIRE(asks::returns<"s", int, function<name&, int>>());
    STATIC_REQUIRE(asks::returns_bool<"s", int const, function<int, int>>());
    STATIC_REQUIRE(asks::returns_bool<"s", int const, function<std::true_type const&, int>>());
    STATIC_REQUIRE(asks::returns_optional<"s", int, function<std::optional<name> const&, int>>());
    STATIC_REQUIRE(asks::returns_range<"s", int, function<std::vector<name>, int>>());
    STATIC_REQUIRE(asks::returns_range<"s", int, function<std::array<name, 2> const&, int>>());
    STATIC_REQUIRE(asks::returns_number<"s", int const, function<std::uint8_t const&, int>>());
    STATIC_REQUIRE(asks::returns_key<"s", int const, function<std::string const&, int>>());
    STATIC_REQUIRE(asks::returns_total<"s", int, function<long, double, int>, double>());
}

TEST_CASE("ask: what several threads call must return something when it is const", "[unit][ask]") {
    STATIC_REQUIRE(asks::returns_as_const<"s", int, function<int, int>>());
    STATIC_REQUIRE(ps::detail::takes<int, only_mutable>);
    STATIC_REQUIRE(!ps::detail::takes<int, only_mutable const>);
    STATIC_REQUIRE(std::same_as<ps::detail::answer<int, other_as_const const>, void>);
}
