#include <penstock/stages/steer.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <support/battery.hpp>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

enum class mode : std::uint8_t { plain, hard };

/// Chooses between two numbers by a control, and mixes what follows.
auto steered(ps::control<mode> const& c, int n = 400) {
    return ps::range(n) | ps::steer(c, [](mode m, auto i) { return m == mode::hard ? 1000 + i : i; }) | ps::shuffle(10);
}
template <class P>
std::vector<std::int64_t> rest(P& p) {
    std::vector<std::int64_t> out;
    while (auto i = p.next()) out.push_back(*i);
    return out;
}

}  // namespace

TEST_CASE("steer: stage contract", "[unit][steer]") {
    test::battery(test::stage_case{
        .name = "steer",
        .make = [](auto src) { return std::move(src) | ps::steer(ps::control<int>("up", 1000), [](int up, auto const& i) { return test::number(i) + up; }); },
        .model = [](std::vector<int> in) {
            for (int& i : in) i += 1000;
            return in;
        },
    });
}

TEST_CASE("steer: stage contract with functions that capture", "[unit][steer]") {
    auto const model = [](std::vector<int> in) {
        for (int& i : in) i += 7;
        return in;
    };
    test::battery(test::stage_case{
        .name = "steer(captures an int)",
        .make = [](auto src) { return std::move(src) | ps::steer(ps::control<int>("up", 3), [more = 4](int up, auto const& i) { return test::number(i) + up + more; }); },
        .model = model,
    });
    test::battery(test::stage_case{
        .name = "steer(captures a unique_ptr)",
        .make = [](auto src) {
            return std::move(src) | ps::steer(ps::control<int>("up", 3), [more = std::make_unique<int>(4)](int up, auto const& i) { return test::number(i) + up + *more; });
        },
        .model = model,
    });
}

TEST_CASE("steer: the example", "[unit][steer]") {
    using namespace ps;
    auto got =
    // example-begin steer
    range(3) | steer(control<int>("scale", 10), [](int scale, auto i) { return scale * i; })    // 0 10 20
    // example-end
    | collect();
    CHECK(got == std::vector<std::int64_t>{0, 10, 20});
}

TEST_CASE("steer: a change holds from the next item on, and through a shuffle for what is pulled from then on", "[unit][steer]") {
    ps::control<int> scale("scale", 1);
    auto p = ps::range(6) | ps::steer(scale, [](int s, auto i) { return s * i; });
    CHECK(p.next() == 0);
    CHECK(p.next() == 1);
    p.set(scale, 10);
    CHECK(scale.value() == 10);
    CHECK(p.next() == 20);
    p.set(scale, 100);
    p.set(scale, 3);
    CHECK(p.next() == 9);

    ps::control<mode> c("mode", mode::plain);
    auto q = steered(c);
    for (int i = 0; i != 100; ++i) CHECK(q.next() < 1000);
    q.set(c, mode::hard);
    auto const later = rest(q);
    auto const plain = std::count_if(later.begin(), later.end(), [](auto i) { return i < 1000; });
    CHECK(plain > 0);   // held when the change came
    CHECK(plain <= 40);
    CHECK(later.size() == 300);
    q.reset(0, 1);
    CHECK(rest(q).front() >= 1000);  // the next epoch has the newest value from its first item on
}

TEST_CASE("steer: a saved state brings every change back at its place, wherever it was taken", "[unit][steer]") {
    ps::control<mode> c("mode", mode::plain);
    auto p = steered(c);
    std::vector<ps::state> states;
    std::vector<std::int64_t> all;
    for (std::size_t i = 0;; ++i) {
        if (i == 50) p.set(c, mode::hard);
        if (i == 120) p.set(c, mode::plain);
        if (i == 121) p.set(c, mode::hard);
        states.push_back(p.save());
        auto const item = p.next();
        if (!item) break;
        all.push_back(*item);
    }
    for (std::size_t k = 130; k < states.size(); k += 9) {  // behind the last change: the tail needs no further one
        ps::control<mode> other("mode", mode::plain);
        auto q = steered(other);
        q.load(ps::state::parse(states[k].text()));
        CHECK(rest(q) == std::vector(all.begin() + static_cast<std::ptrdiff_t>(k), all.end()));
        CHECK(other.value() == mode::hard);
    }
    ps::control<mode> other("another", mode::plain);
    auto q = steered(other);
    auto const text = test::error_of<ps::state_error>([&] { return q.load(states[5]), 0; });
    CHECK(text.find("control.mode#0 where the chain has control.another") != text.npos);
}
