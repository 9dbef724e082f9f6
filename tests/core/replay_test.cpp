#include <penstock/core/replay.hpp>

#include <penstock/core/stage.hpp>
#include <penstock/sources/range.hpp>
#include <support/sources.hpp>

#include <cstdint>
#include <deque>
#include <exception>
#include <limits>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

/// The smallest stage that holds items: it reads `window` ahead and delivers in order.
template <class S>
struct ahead : ps::stage_over<S> {
    using item_type = typename S::item_type;
    ahead(S input, std::size_t window, std::uint64_t every) : ps::stage_over<S>(std::move(input)), window_(window), replay_("ahead", every) {}

    std::optional<item_type> next() {
        while (!ended_ && held_.size() < window_) {
            auto item = replay_.pull(this->up);
            if (item) keep(replay_.pulls() - 1, std::move(*item));
            else ended_ = true;
        }
        if (held_.empty()) return std::nullopt;
        auto item = std::move(held_.front().second);
        held_.pop_front();
        tally_.remove(item);
        replay_.release(first());
        return item;
    }
    void reset(ps::epoch e)
        requires ps::resettable<S>
    {
        this->up.reset(e);
        clear();
        replay_.reset();
    }
    void save(ps::state_writer& w) const
        requires ps::resumable<S>
    {
        replay_.save(w, this->up, tally_);
        w.stage("ahead", 1).put("first", first());
    }
    void load(ps::state_reader& r)
        requires ps::resumable<S>
    {
        clear();
        replay_.load(r, this->up);
        auto const first = r.stage("ahead", 1).get("first");
        replay_.repeat(this->up, [=](std::uint64_t i) { return i >= first; }, [this](std::uint64_t i, item_type&& item) { keep(i, std::move(item)); });
        replay_.release(this->first());
    }

private:
    std::uint64_t first() const { return held_.empty() ? replay_.pulls() : held_.front().first; }
    void keep(std::uint64_t i, item_type&& item) {
        tally_.add(item);
        held_.emplace_back(i, std::move(item));
    }
    void clear() {
        held_.clear();
        tally_ = {};
        ended_ = false;
    }
    std::size_t window_;
    std::deque<std::pair<std::uint64_t, item_type>> held_;
    ps::tally tally_;
    ps::replay<S> replay_;
    bool ended_ = false;
};

auto chain(int n, std::vector<int> errors = {}, std::uint64_t every = 3, std::size_t window = 5, std::shared_ptr<test::probe> log = std::make_shared<test::probe>()) {
    using source = test::planned_source<test::as_keyed<test::as_is>>;
    return ps::pipeline(source({.n = n, .errors = std::move(errors), .log = std::move(log)}, {{}, n})) | ps::stage_of<ahead>("ahead", window, every);
}

/// ids of the next items, -1 for an error, until the end or `limit`.
template <class P>
std::vector<int> ids(P& p, std::size_t limit = 1000) {
    std::vector<int> all;
    while (all.size() != limit) try {
            auto item = p.next();
            if (!item) break;
            all.push_back(static_cast<int>(item->id));
        } catch (ps::stage_error const&) {
            all.push_back(-1);
        }
    return all;
}

template <class P>
std::uint64_t number(P const& saved, std::string const& record, std::string const& name) {
    for (auto const& r : saved.records)
        if (r.stage == record)
            for (auto const& n : r.numbers)
                if (n.name == name) return n.value;
    throw std::runtime_error("no " + record + "." + name);
}

/// Three items; a stage in it dropped the positions behind them, which it hands out once, when it has met its end.
struct dropped_last {
    using item_type = int;
    std::optional<int> next() {
        if (at == 3) return rest = true, std::nullopt;
        return static_cast<int>(at++);
    }
    ps::cover trailing() { return std::exchange(rest, false) ? ps::cover::at(3) : ps::cover{}; }
    void save(ps::state_writer& w) const { w.stage("dropped_last", 1).put("at", at); }
    void load(ps::state_reader& r) { at = r.stage("dropped_last", 1).get("at"), rest = false; }
    std::uint64_t at = 0;
    bool rest = false;
};
}  // namespace

TEST_CASE("replay: the tail is the same from every position, for every distance of snapshots, with and without errors", "[unit][replay]") {
    for (std::uint64_t const every : {1u, 2u, 3u, 7u, 100u})
        for (auto const& errors : std::vector<std::vector<int>>{{}, {0}, {19}, {4, 5, 6, 12}}) {
            auto whole = chain(20, errors, every);
            auto const all = ids(whole);
            for (std::size_t k = 0; k <= all.size(); ++k) {
                auto p = chain(20, errors, every);
                (void)ids(p, k);
                auto q = chain(20, errors, every);
                q.load(p.save());
                CHECK(ids(q) == ids(p));
            }
        }
}

TEST_CASE("replay: a snapshot stands in for the live state only while something is held", "[unit][replay]") {
    auto p = chain(20, {}, 3, 1);
    (void)ids(p, 7);
    auto const live = p.save();
    CHECK(number(live, "debug_source", "at") == 7);
    CHECK(number(live, "ahead.replay", "from") == 7);
    auto q = chain(20, {}, 3, 5);
    (void)ids(q, 7);
    auto const saved = q.save();
    CHECK(number(saved, "ahead.replay", "pulls") == 11);
    CHECK(number(saved, "ahead.replay", "held") == 4);
    CHECK(number(saved, "ahead.replay", "from") == 6);  // the newest multiple of 3 before item 7
    CHECK(number(saved, "debug_source", "at") == 6);
}

TEST_CASE("replay: only what is held is made, the rest is discarded", "[unit][replay]") {
    auto p = chain(40, {}, 8, 5);
    (void)ids(p, 15);
    auto const log = std::make_shared<test::probe>();
    auto q = chain(40, {}, 8, 5, log);
    q.load(p.save());
    CHECK(log->discards == 7);
    CHECK(log->made == 4);
}

TEST_CASE("replay: a failure that does not repeat, and one that is new, are named", "[unit][replay]") {
    auto broken = chain(20, {2}, 3, 4);
    (void)ids(broken, 1);  // the failure of 2
    auto repaired = chain(20, {}, 3, 4);
    auto const readable = test::error_of<ps::state_error>([&] { return repaired.load(broken.save()), 0; });
    CHECK(readable.find("ahead: pull 2 of the stage before") != readable.npos);
    CHECK(readable.find("it failed when the state was saved, and delivers sample 'k2' (id 2) now") != readable.npos);
    CHECK(readable.find("start the epoch again") != readable.npos);

    auto whole = chain(20, {}, 3, 4);
    (void)ids(whole, 1);
    auto damaged = chain(20, {3}, 3, 4);
    try {
        damaged.load(whole.save());
        FAIL("it must be refused");
    } catch (ps::state_error const& e) {
        std::string const text = e.what();
        CHECK(text.find("pull 3") != text.npos);
        CHECK(text.find("fails now: source: part.tar, sample 'k3'") != text.npos);
        CHECK_THROWS_AS(std::rethrow_if_nested(e), ps::stage_error);
    }
}

TEST_CASE("replay: other data, less data and a damaged record are refused", "[unit][replay]") {
    auto p = chain(20, {}, 3, 4);
    (void)ids(p, 10);
    auto const saved = p.save();

    auto shorter = chain(11, {}, 3, 4);
    auto const ended = test::error_of<ps::state_error>([&] { return shorter.load(saved), 0; });
    CHECK(ended.find("the data ends here, but 13 pulls had been made") != ended.npos);

    auto other = saved;
    for (auto& r : other.records)
        if (r.stage == "ahead.replay")
            for (auto& n : r.numbers)
                if (n.name == "hash") n.value += 1;
    auto q = chain(20, {}, 3, 4);
    auto const different = test::error_of<ps::state_error>([&] { return q.load(other), 0; });
    CHECK(different.find("the 3 items pulled again are not the 3 held") != different.npos);

    auto damaged = saved;
    for (auto& r : damaged.records)
        if (r.stage == "ahead.replay")
            for (auto& n : r.numbers)
                if (n.name == "from") n.value = 1000;
    auto d = chain(20, {}, 3, 4);
    auto const impossible = test::error_of<ps::state_error>([&] { return d.load(damaged), 0; });
    CHECK(impossible.find("cannot pull from 1000 to 13") != impossible.npos);
}

TEST_CASE("replay: many failures keep the state small and resume exactly", "[unit][replay]") {
    std::vector<int> errors;
    for (int i = 0; i != 60; ++i)
        if (i % 7 != 0) errors.push_back(i);
    for (std::size_t k = 0; k <= 60; ++k) {
        auto p = chain(60, errors, 100);
        (void)ids(p, k);
        auto const saved = p.save();
        CHECK(saved.text().size() < 700);
        auto q = chain(60, errors, 100);
        q.load(saved);
        auto again = chain(60, errors, 100);
        again.load(q.save());
        auto const rest = ids(p);
        CHECK(ids(q) == rest);
        CHECK(ids(again) == rest);
    }
}

TEST_CASE("replay: over a stage that cannot be saved it only counts", "[unit][replay]") {
    auto p = ps::pipeline(test::bare_source<test::debug_source<>>{test::debug_source<>({.n = 9})}) | ps::stage_of<ahead>("ahead", std::size_t{4}, std::uint64_t{2});
    STATIC_REQUIRE(!ps::resumable<decltype(p)>);
    int sum = 0;
    while (auto i = p.next()) sum += *i;
    CHECK(sum == 36);
}

TEST_CASE("replay: pull_n counts items, failures and what f throws for", "[unit][replay]") {
    test::debug_source<> up({.n = 20, .errors = {5}});
    ps::replay<test::debug_source<>> r("test", 3);
    std::vector<int> got;
    auto keep = [&](int i) { got.push_back(i); };
    CHECK_FALSE(r.pull_n(up, 4, keep));
    CHECK(r.pulls() == 4);
    CHECK_THROWS_AS(r.pull_n(up, 4, keep), ps::stage_error);
    CHECK(r.pulls() == 6);
    auto bad = [](int) { throw std::length_error("full"); };
    CHECK_THROWS_AS(r.pull_n(up, 2, bad), std::length_error);
    CHECK(r.pulls() == 7);
    CHECK_FALSE(r.pull_n(up, 0, keep));
    CHECK(r.pulls() == 7);
    CHECK_FALSE(r.pull_n(up, 13, keep));  // all there are, but the source has not said so
    CHECK(r.pulls() == 20);
    CHECK(r.pull_n(up, 1, keep));
    CHECK(r.pull_n(up, ~std::uint64_t{0}, keep));
    CHECK(r.pulls() == 20);
    CHECK(got == std::vector{0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19});
}

TEST_CASE("replay: pull_n takes every snapshot that falls into its run", "[unit][replay]") {
    for (std::uint64_t held = 0; held != 10; ++held) {
        auto up = ps::range(20).release();
        ps::replay<ps::range_source> r("test", 3);
        std::int64_t sum = 0;
        auto add = [&](std::int64_t i) { sum += i; };
        CHECK_FALSE(r.pull_n(up, 10, add));
        CHECK(sum == 45);
        r.release(held);
        ps::state out;
        ps::state_writer w(out);
        r.save(w, up, ps::tally{.count = 1});
        ps::state_reader in(out);
        CHECK(in.stage("range", 1).get("at") == held / 3 * 3);
        CHECK(in.stage("test.replay", 2).get("from") == held / 3 * 3);
    }
}

TEST_CASE("replay: snapshots inside a branch carry its name", "[unit][replay]") {
    auto p = chain(20, {}, 3, 4);
    (void)ids(p, 5);
    ps::state out;
    ps::state_writer w(out);
    auto b = w.branch("photos");
    p.save(b);
    for (auto const& r : out.records) CHECK(r.stage.starts_with("photos/"));
    auto q = chain(20, {}, 3, 4);
    ps::state_reader r(out);
    auto in = r.branch("photos");
    q.load(in);
    r.finish();
    CHECK(ids(q) == ids(p));
}

TEST_CASE("replay: one thread pulls while another releases and saves", "[unit][replay]") {
    using source = test::debug_source<>;
    source up({.n = 3000});
    ps::replay<source, std::mutex> r("test", 16);
    std::atomic<std::uint64_t> made{0};
    std::thread producer([&] {
        while (r.pull(up)) ++made;
    });
    std::vector<std::pair<std::uint64_t, ps::state>> saves;
    for (std::uint64_t taken = 0; taken != 3000;) {
        while (made == taken) std::this_thread::yield();
        r.release(++taken);
        if (taken % 97 == 0) {
            ps::state s;
            ps::state_writer w(s);
            r.save(w, up, taken, ps::end_of_input::ahead);
            saves.emplace_back(taken, std::move(s));
        }
    }
    producer.join();
    CHECK(up.spec().log->violations().empty());
    for (auto const& [taken, s] : saves) {
        source again({.n = 3000});
        ps::replay<source, std::mutex> q("test", 16);
        ps::state_reader in(s);
        q.load(in, again);
        q.repeat(again, [](std::uint64_t) { return false; }, [](std::uint64_t, int) {});
        CHECK(q.pulls() == taken);
        auto const next = q.pull(again);
        CHECK(next == (taken == 3000 ? std::nullopt : std::optional(static_cast<int>(taken))));
    }
}

TEST_CASE("replay: what was dropped behind the last item is told once, also where a save lies between", "[unit][replay]") {
    for (bool const told : {false, true}) {
        dropped_last up;
        ps::replay<dropped_last> r("test", 2);
        while (r.pull(up)) {}
        if (told) CHECK(r.trailing(up) == ps::cover::at(3));
        ps::state s;
        ps::state_writer w(s);
        r.save(w, up, {});
        dropped_last again;
        ps::replay<dropped_last> q("test", 2);
        ps::state_reader in(s);
        q.load(in, again);
        q.repeat(again, [](std::uint64_t) { return false; }, [](std::uint64_t, int) {});
        CHECK(q.trailing(again) == (told ? ps::cover{} : ps::cover::at(3)));
    }
}
