// Controls through stages that read ahead: a change holds from the consumer's next item on, whatever was made before, on every rank alike.
#include <penstock/concurrency/parallel_map.hpp>
#include <penstock/concurrency/prefetch.hpp>
#include <penstock/core/control.hpp>
#include <penstock/sources/generate.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/cycle.hpp>
#include <penstock/stages/interleave.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/steer.hpp>
#include <penstock/stages/take.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <support/sources.hpp>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

/// Yields from one of two sources, as a control says: 0, 1, ... or 1000, 1001, ...
template <class S>
class switched : public ps::stage_over<S> {
public:
    using item_type = std::int64_t;
    switched(S before, ps::control<int> const& which) : ps::stage_over<S>(std::move(before)), steering_(which) {}

    std::optional<item_type> next() {
        auto i = this->up.next();
        if (!i) return std::nullopt;
        return *i + 1000 * steering_.value(item_++);
    }
    void save(ps::state_writer& w) const {
        this->up.save(w);
        w.stage("switched", 1).put("item", item_);
    }
    void load(ps::state_reader& r) {
        this->up.load(r);
        item_ = r.stage("switched", 1).get("item");
    }
    void controls(ps::control_walk& w) const { w(steering_, item_); }

private:
    mutable ps::steering<int> steering_;
    std::uint64_t item_ = 0;
};

template <class P>
std::vector<std::vector<std::int64_t>> rest(P& p) {
    std::vector<std::vector<std::int64_t>> all;
    while (auto b = p.next()) all.push_back(b->items);
    return all;
}

}  // namespace

TEST_CASE("control: through shuffle, batch, parallel_map and prefetch it changes at the same batch, however far they had read", "[unit][control]") {
    auto run = [](std::int64_t ahead) {
        ps::control<int> which("which", 0);
        auto p = ps::range(600) | ps::stage_of<switched>("switched", which) | ps::shuffle(5) | ps::parallel_map([](std::int64_t i) { return i; }, {.window = ahead}) | ps::batch(4) | ps::prefetch(ahead);
        p.reset(3, 0);
        std::vector<std::vector<std::int64_t>> all;
        for (int k = 0; k != 20; ++k) all.push_back(p.next()->items);
        p.set(which, 1);
        for (auto& b : rest(p)) all.push_back(std::move(b));
        return all;
    };
    auto const one = run(1);
    REQUIRE(one.size() == 150);
    for (std::size_t k = 0; k != 20; ++k)
        for (auto i : one[k]) CHECK(i < 1000);
    bool changed = false;
    for (std::size_t k = 20; k != 32; ++k)
        for (auto i : one[k]) changed = changed || i >= 1000;
    CHECK(changed);
    for (std::size_t k = 40; k != one.size(); ++k)
        for (auto i : one[k]) CHECK(i >= 1000);
    for (std::int64_t const ahead : {2, 7, 64}) CHECK(run(ahead) == one);
}

TEST_CASE("control: the change is in the state, wherever it is taken, and reaches the branches of a mix", "[unit][control]") {
    ps::control<int> which("which", 0), other("other", 0);
    auto make = [](ps::control<int> const& c, ps::control<int> const& d) {
        return ps::interleave({.stop = ps::stop_rule::all}, ps::named("a", 2, ps::range(100) | ps::stage_of<switched>("switched", c) | ps::prefetch(8)),
                              ps::named("b", 1, ps::range(50) | ps::steer(d, [](int up, std::int64_t i) { return i - up; }))) |
               ps::shuffle(6) | ps::batch(4) | ps::prefetch(5);
    };
    auto p = make(which, other);
    std::vector<ps::state> states;
    std::vector<std::vector<std::int64_t>> all;
    for (int k = 0;; ++k) {
        if (k == 9) p.set(which, 1);
        if (k == 15) p.set(other, 500);
        states.push_back(p.save());
        auto b = p.next();
        if (!b) break;
        all.push_back(b->items);
    }
    for (std::size_t k = 16; k < states.size(); k += 3) {
        ps::control<int> c("which", 0), d("other", 0);
        auto q = make(c, d);
        q.load(ps::state::parse(states[k].text()));
        CHECK(c.value() == 1);
        CHECK(d.value() == 500);
        CHECK(rest(q) == std::vector(all.begin() + static_cast<std::ptrdiff_t>(k), all.end()));
    }
}

TEST_CASE("control: a stage that starts its source again forgets no change, neither in a load nor when what was read ahead is made anew", "[unit][control]") {
    auto make = [](ps::control<int> const& c, std::int64_t ahead) {
        return ps::range(12) | ps::steer(c, [](int up, std::int64_t i) { return i + up; }) | ps::shuffle(4) | ps::cycle(2) | ps::batch(1) | ps::prefetch(ahead);
    };
    std::vector<std::vector<std::int64_t>> first;
    for (std::int64_t const ahead : {1, 20}) {
        ps::control<int> c("up", 1000);
        auto p = make(c, ahead);
        std::vector<std::vector<std::int64_t>> all;
        std::vector<ps::state> states;
        for (int k = 0;; ++k) {
            if (k == 1) std::this_thread::sleep_for(std::chrono::milliseconds(20));  // what reads ahead may cross the edge of the pass
            if (k == 3) p.set(c, 2000);
            if (k == 5) p.set(c, 3000);
            states.push_back(p.save());
            auto b = p.next();
            if (!b) break;
            all.push_back(b->items);
        }
        REQUIRE(all.size() == 24);
        for (std::size_t k = 6; k != 12; ++k) {
            ps::control<int> other("up", 0);
            auto q = make(other, ahead);
            q.load(states[k]);
            CHECK(rest(q) == std::vector(all.begin() + static_cast<std::ptrdiff_t>(k), all.end()));
        }
        if (first.empty()) first = all;
        CHECK(all == first);
    }
}

TEST_CASE("control: over an epoch's edge that sources go on over, what is held keeps its value", "[unit][control]") {
    auto run = [](std::int64_t ahead) {
        ps::control<int> c("up", 0);
        auto p = ps::interleave({.stop = ps::stop_rule::forever}, ps::named("a", ps::range(30) | ps::steer(c, [](int up, std::int64_t i) { return i + up; }) | ps::shuffle(4)),
                                ps::named("b", ps::range(7))) |
                 ps::prefetch(ahead) | ps::take(8);
        std::vector<std::int64_t> all;
        for (std::uint64_t e = 0; e != 4; ++e) {
            p.reset(1, e);
            for (int k = 0; auto const i = p.next(); ++k) {
                all.push_back(*i);
                if (k == 3) p.set(c, 1000 * static_cast<int>(e + 1));
            }
        }
        return all;
    };
    CHECK(run(1) == run(10));
}

TEST_CASE("control: a value set through another chain holds from the edge on, also where a source goes on over it", "[unit][control]") {
    auto run = [](std::int64_t ahead, bool wait) {
        ps::control<int> c("up", 0);
        auto source = [&] { return ps::range(30) | ps::steer(c, [](int up, std::int64_t i) { return i + up; }); };
        auto p = ps::interleave({.stop = ps::stop_rule::all_restart}, ps::named("a", source() | ps::prefetch(ahead)), ps::named("b", ps::range(5))) | ps::take(8);
        auto other = source();
        std::vector<std::int64_t> all;
        for (std::uint64_t e = 0; e != 3; ++e) {
            p.reset(1, e);
            while (auto const i = p.next()) all.push_back(*i);
            if (wait) std::this_thread::sleep_for(std::chrono::milliseconds(5));  // so that it has read ahead
            other.set(c, 1000 * static_cast<int>(e + 1));
        }
        return all;
    };
    auto const wanted = run(1, false);
    CHECK(run(20, true) == wanted);
    CHECK(run(20, false) == wanted);
}

TEST_CASE("control: a change that could not reach what was read ahead is refused, and changes nothing", "[unit][control]") {
    ps::control<int> c("up", 0), other("other", 0);
    int at = 0;
    auto p = ps::generate([&]() -> std::optional<int> { return at == 50 ? std::nullopt : std::optional(at++); }) | ps::steer(c, [](int up, int i) { return i + up; }) | ps::prefetch(10);
    CHECK(p.next() == 0);
    auto text = test::error_of<ps::config_error>([&] { return p.set(c, 100), 0; });
    CHECK(text.find("prefetch: what was read ahead must be made anew") != text.npos);
    CHECK(text.find("HINT") != text.npos);
    CHECK(c.value() == 0);
    auto q = ps::range(3) | ps::steer(c, [](int up, std::int64_t i) { return i + up; });
    CHECK(test::error_of<ps::config_error>([&] { return q.set(other, 100), 0; }).find("no stage of this chain reads the control 'other'") != text.npos);
    CHECK(other.value() == 0);
}
