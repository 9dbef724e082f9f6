#include <penstock/stages/interleave.hpp>

#include <penstock/core/any_pipeline.hpp>
#include <penstock/sources/from_vector.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/collect.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/map_keyed.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/take.hpp>
#include <support/allocations.hpp>
#include <support/battery.hpp>
#include <support/branches.hpp>

#include <cmath>
#include <numeric>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

using ps::detail::weighted_picker;

/// The quota rule by its definition, in fractions.
class quota_model {
public:
    explicit quota_model(std::vector<std::uint64_t> p) : p_(std::move(p)), c_(p_.size(), 0), sum_(std::accumulate(p_.begin(), p_.end(), std::uint64_t{0})) {}
    std::size_t pick() {
        std::size_t best = p_.size();
        for (std::size_t i = 0; i != p_.size(); ++i)
            if (c_[i] * sum_ < (k_ + 1) * p_[i] && (best == p_.size() || p_[i] * (c_[best] + 1) > p_[best] * (c_[i] + 1))) best = i;
        ++c_[best];
        ++k_;
        return best;
    }

private:
    std::vector<std::uint64_t> p_, c_;
    std::uint64_t sum_, k_ = 0;
};

/// Two lists mixed 2:1 until both are empty, an ended one leaving.
std::vector<int> mixed(std::vector<int> const& a, std::vector<int> const& b) {
    std::vector<int> out;
    auto picks = quota_model({2, 1});
    std::size_t i = 0, j = 0;
    while (i != a.size() || j != b.size()) {
        bool const from_a = i != a.size() && j != b.size() ? picks.pick() == 0 : i != a.size();
        out.push_back(from_a ? a[i++] : b[j++]);
    }
    return out;
}

ps::interleave_options rule(ps::stop_rule stop, ps::picks picks = ps::picks::exact) { return {.stop = stop, .picks = picks}; }

template <class F>
std::string config_text(F f) {
    return test::error_of<ps::config_error>(f);
}

}  // namespace

TEST_CASE("interleave: stage contract, until all have ended", "[unit][interleave]") {
    test::battery(test::stage_case{
        .name = "interleave(source 2, seven items 1)",
        .make = [](auto src) {
            auto other = test::beside(src, 7);
            return ps::interleave({}, ps::named("a", 2, std::move(src)), ps::named("b", 1, std::move(other)));
        },
        .model = [](std::vector<int> const& in, test::facts const& f) { return mixed(in, test::beside_model(7, f.epoch.index)); },
        .permutes = true,  // an error is a turn, which the model does not know
    });
}

TEST_CASE("interleave: stage contract of three sources picked at random", "[unit][interleave]") {
    test::battery(test::stage_case{
        .name = "interleave(random, source .5, five items .3, three items .2)",
        .make = [](auto src) {
            auto b = test::beside(src, 5);
            auto c = test::beside(src, 3) | ps::map([](auto i) { return decltype(i)(test::number(i) + 1000); });
            return ps::interleave({.picks = ps::picks::random}, ps::named("a", 0.5, std::move(src)), ps::named("b", 0.3, std::move(b)), ps::named("c", 0.2, std::move(c)));
        },
        .model = [](std::vector<int> const& in, test::facts const& f) {
            std::vector<std::vector<int>> lists{in, test::beside_model(5, f.epoch.index), test::beside_model(3, f.epoch.index)};
            for (auto& i : lists[2]) i += 1000;
            std::vector<std::uint64_t> share{5, 3, 2};
            for (std::size_t i = 0; i != 3; ++i)
                if (lists[i].empty() && f.rewinds) share[i] = 0;
            std::vector<int> out;
            std::vector<std::size_t> at(3, 0);
            std::uint64_t sum = 10 - (lists[0].empty() && f.rewinds ? 5 : 0);
            for (std::uint64_t k = 0; sum != 0; ++k) {
                ps::random_stream bits(f.epoch.key, f.epoch.index, k / 4);
                for (std::uint64_t skip = 0; skip != k % 4; ++skip) bits.bits32();
                auto const word = bits.bits32();
                std::size_t i = 0;
                for (std::uint64_t before = share[0]; word * sum >= before << 32; before += share[++i]) {}
                if (at[i] == lists[i].size()) {  // only a source of unknown length is asked once more
                    sum -= std::exchange(share[i], 0);
                    continue;
                }
                out.push_back(lists[i][at[i]++]);
                if (at[i] == lists[i].size() && (i != 0 || f.rewinds)) sum -= std::exchange(share[i], 0);
            }
            return out;
        },
        .permutes = true,
    });
}

TEST_CASE("interleave: the example", "[unit][interleave]") {
    using namespace ps;
    auto p =
    // example-begin interleave
    interleave({}, named("a", 2, range(4)), named("b", 1, from_vector<std::int64_t>({10, 11})))    // 0 1 10 2 3 11
    // example-end
    ;
    auto const got = std::move(p) | collect();
    CHECK(got == std::vector<std::int64_t>{0, 1, 10, 2, 3, 11});
}

TEST_CASE("interleave: after any number of picks every source is within one item of its share", "[unit][interleave]") {
    ps::random_stream bits(1, 2, 3);
    for (std::size_t m = 2; m <= 32; m += m < 8 ? 1 : 8)
        for (int round = 0; round != 12; ++round) {
            std::vector<std::uint64_t> p;
            for (std::size_t i = 0; i != m; ++i) p.push_back(1 + bits.below(round % 3 == 0 ? 1000 : 100));
            auto const sum = std::accumulate(p.begin(), p.end(), std::uint64_t{0});
            weighted_picker picker(p, ps::picks::exact);
            quota_model model(p);
            std::vector<std::uint64_t> c(m, 0);
            bool within = true, same = true;
            for (std::uint64_t k = 1; k <= 2 * sum + 7; ++k) {
                auto const i = picker.pick();
                same = same && i == model.pick();
                ++c[i];
                for (std::size_t j = 0; j != m; ++j) within = within && c[j] * sum < k * p[j] + sum && c[j] * sum + sum > k * p[j];
            }
            INFO("m " << m << ", round " << round << ", period " << sum);
            CHECK(within);
            CHECK(same);
        }
}

TEST_CASE("interleave: long periods are picked without a table, by the same rule", "[unit][interleave]") {
    std::vector<std::uint64_t> const p{1000003, 500009, 7, 2147483648u - 1500019};
    weighted_picker picker(p, ps::picks::exact);
    quota_model model(p);
    for (int k = 0; k != 20000; ++k) REQUIRE(picker.pick() == model.pick());
}

TEST_CASE("interleave: weights become the smallest integers in their proportion, or fractions of 2^31", "[unit][interleave]") {
    auto shares = [](std::vector<double> const& w) { return ps::detail::shares_of(w, [](std::size_t) { return "x"; }); };
    using integers = std::vector<std::uint64_t>;
    CHECK(shares({0.9, 0.1}) == integers{9, 1});
    CHECK(shares({0.7, 0.2, 0.1}) == integers{7, 2, 1});
    CHECK(shares({0.5, 0.3, 0.2}) == integers{5, 3, 2});
    CHECK(shares({1281167, 50000}) == integers{1281167, 50000});
    CHECK(shares({1 / 3.0, 1 / 3.0, 1 / 3.0}) == integers{1, 1, 1});
    CHECK(shares({1e-200, 3e-200}) == integers{1, 3});
    CHECK(shares({1e300, 1e300}) == integers{1, 1});
    CHECK(shares({std::sqrt(2.0), std::sqrt(2.0), 1}) == integers{793276299, 793276299, 560931050});
}

TEST_CASE("interleave: equal weights take turns, also without names and from a list of one type", "[unit][interleave]") {
    std::vector<std::int64_t> const turns{0, 0, 0, 1, 1, 1, 2, 2, 2};
    CHECK((ps::interleave({}, ps::range(3), ps::range(3), ps::range(3)) | ps::collect()) == turns);
    CHECK((ps::interleave({}, ps::named("a", 1 / 3.0, ps::range(3)), ps::named("b", 1 / 3.0, ps::range(3)), ps::named("c", 1 / 3.0, ps::range(3))) | ps::collect()) == turns);
    std::vector<decltype(ps::named("", ps::range(0)))> list;
    for (auto const* name : {"a", "b", "c"}) list.push_back(ps::named(name, ps::range(3)));
    auto p = ps::interleave({}, std::move(list));
    auto const saved = p.save().text();
    CHECK(saved.find("b/range") != saved.npos);
    CHECK((std::move(p) | ps::collect()) == turns);
}

TEST_CASE("interleave: random picks follow the weights, differ between epochs and are the same everywhere", "[unit][interleave]") {
    weighted_picker a({7, 2, 1}, ps::picks::random), b({7, 2, 1}, ps::picks::random);
    a.begin(ps::epoch::of(1, 0));
    b.begin(ps::epoch::of(1, 1));
    std::vector<int> count(3, 0);
    int equal = 0;
    std::string first;
    for (int k = 0; k != 100000; ++k) {
        auto const i = a.pick();
        ++count[i];
        equal += i == b.pick();
        if (k < 40) first += static_cast<char>('0' + i);
    }
    CHECK(std::abs(count[0] - 70000) < 600);
    CHECK(std::abs(count[1] - 20000) < 600);
    CHECK(std::abs(count[2] - 10000) < 600);
    CHECK(std::abs(equal - 54000) < 800);  // .49 + .04 + .01
    CHECK(first == "2020100110000000100000110220100010220000");
}

TEST_CASE("interleave: every rule delivers every item of a pass once", "[unit][interleave]") {
    auto const picks = GENERATE(ps::picks::exact, ps::picks::random);
    auto make = [&](ps::stop_rule stop) { return ps::interleave(rule(stop, picks), ps::named("a", 3, test::source_of({.n = 20})), ps::named("b", 2, test::source_of({.n = 7}) | ps::map([](int i) { return i + 5000; }))); };
    auto items = [](auto p) {
        auto q = std::move(p) | ps::take(500);
        q.reset(4, 0);
        return std::move(q) | ps::collect();
    };
    auto of = [](std::vector<int> const& all, bool b) {
        std::vector<int> out;
        for (int i : all)
            if ((i % 10000 >= 5000) == b) out.push_back(i);
        return out;
    };
    auto line = [](int first, int n, std::size_t length) {  // pass after pass
        std::vector<int> out;
        for (int i = 0; out.size() != length; ++i) out.push_back(first + i % n + 10000 * (i / n));
        return out;
    };
    for (auto stop : {ps::stop_rule::all, ps::stop_rule::first, ps::stop_rule::all_restart, ps::stop_rule::forever}) {
        auto const all = items(make(stop));
        auto const a = of(all, false), b = of(all, true);
        CHECK(a == line(0, 20, a.size()));
        CHECK(b == line(5000, 7, b.size()));
        if (stop == ps::stop_rule::all) CHECK((a.size() == 20 && b.size() == 7));
        if (stop == ps::stop_rule::first) CHECK(((b.size() == 7 && all.back() == 5006 && a.size() < 20) || (a.size() == 20 && all.back() == 19 && b.size() < 7)));
        if (stop == ps::stop_rule::all_restart) CHECK((b.size() > 7 && a.size() == 20 && all.back() == 19));
        if (stop == ps::stop_rule::forever) CHECK(all.size() == 500);
    }
}

TEST_CASE("interleave: all_restart goes on in unfinished passes over the edges of epochs", "[unit][interleave]") {
    auto p = ps::interleave(rule(ps::stop_rule::all_restart), ps::named("a", 2, test::source_of({.n = 6})), ps::named("b", 1, test::source_of({.n = 4}) | ps::map([](int i) { return i + 5000; })));
    auto epoch = [&](std::uint64_t e) {
        p.reset(0, e);
        return test::events_of(p, 100, test::shown{});
    };
    using lines = std::vector<std::string>;
    // b is at 3 of 4 when a ends, and a at 6 of 6; b's last item ends the next epoch's turn of it early
    CHECK(epoch(0) == lines{"0", "1", "5000", "2", "3", "5001", "4", "5", "5002", "10000", "10001", "5003", "end"});
    CHECK(epoch(1) == lines{"10002", "10003", "15000", "10004", "10005", "15001", "20000", "20001", "15002", "20002", "20003", "15003", "end"});
    CHECK(epoch(2) == lines{"20004", "20005", "25000", "30000", "30001", "25001", "30002", "30003", "25002", "30004", "30005", "25003", "end"});
    CHECK(epoch(7)[0] == "70000");  // not the next one: starts there
    p.reset(1, 8);
    CHECK(p.next() == 80000);  // another seed
    p.next();
    p.reset(1, 8);
    CHECK(p.next() == 80000);  // the same epoch again
}

TEST_CASE("interleave: resume at every position and over the edges, for every rule", "[unit][interleave]") {
    auto const stop = GENERATE(ps::stop_rule::first, ps::stop_rule::all, ps::stop_rule::all_restart, ps::stop_rule::forever);
    auto const picks = GENERATE(ps::picks::exact, ps::picks::random);
    CHECK(test::resume_differs([&] {
              return ps::interleave(rule(stop, picks), ps::named("a", 3, test::source_of({.n = 9}) | ps::shuffle(3)),
                                    ps::named("b", 2, test::throwing_source(5, {1, 4}) | ps::map([](int i) { return i + 5000; }) | ps::shuffle(2)),
                                    ps::named("c", 1, test::source_of({.n = 3}) | ps::filter([](int i) { return i % 10 != 1; }) | ps::map([](int i) { return i + 7000; })));
          }, 4, 25) == "");
    CHECK(test::resume_differs([&] {
              return ps::interleave(rule(stop, picks), ps::named("a", 0.6180339887, test::keyed_source(7, {1, 2}) | ps::shuffle(3)), ps::named("b", 0.3819660113, test::keyed_source(4, {1, 2}, {2})));
          }, 3, 25) == "");
}

TEST_CASE("interleave: on every rank the same picks, restarts and ends, for uneven parts", "[unit][interleave]") {
    auto const stop = GENERATE(ps::stop_rule::first, ps::stop_rule::all, ps::stop_rule::all_restart);
    auto const picks = GENERATE(ps::picks::exact, ps::picks::random);
    for (std::uint32_t size : {1u, 2u, 3u, 4u})
        for (auto const& [of_a, of_b] : std::vector<std::pair<int, int>>{{13, 5}, {12, 6}, {7, 3}, {1, 10}, {5, 2}}) {
            auto make = [&, n = of_a, m = of_b](std::uint32_t r) {
                auto cut = [&](int all, std::string const& name) {  // batches of one, so that a vacant turn shows
                    return test::keyed_source(all, {r, size}) | ps::map([name](int i) { return name + std::to_string(i); }) | ps::batch(1);
                };
                return ps::interleave(rule(stop, picks), ps::named("a", 3, cut(n, "a")), ps::named("b", 1, cut(m, "b")));
            };
            auto sources = [&](auto& p) {
                std::string text;
                while (auto b = p.next()) text += b->source;
                return text;
            };
            for (std::uint64_t first = 0; first != 2; ++first) {
                std::vector<std::string> edges;
                for (std::uint32_t r = 0; r != size; ++r) {
                    auto p = make(r);
                    std::string text;
                    for (std::uint64_t e = first; e != first + 3; ++e) {
                        p.reset(9, e);
                        auto const most = p.world_max();
                        REQUIRE(most);
                        CHECK(p.hint() == ps::size_hint{stop == ps::stop_rule::all ? *most : 0, *most});
                        auto const epoch = sources(p);
                        CHECK(epoch.size() == *most);
                        CHECK(p.world_max() == most);
                        text += epoch + '|';
                    }
                    edges.push_back(text);
                    CHECK(text == edges[0]);
                }
            }
        }
}

TEST_CASE("interleave: a turn for which this rank has no item is passed over, and nothing is lost", "[unit][interleave]") {
    auto const stop = GENERATE(ps::stop_rule::all, ps::stop_rule::all_restart);
    for (std::uint32_t size : {2u, 3u, 4u}) {
        std::vector<int> a(7, 0), b(20, 0);
        for (std::uint32_t r = 0; r != size; ++r) {
            auto p = ps::interleave(rule(stop), ps::named("a", test::keyed_source(7, {r, size})), ps::named("b", test::keyed_source(20, {r, size}) | ps::map([](int i) { return i + 5000; })));
            p.reset(1, 0);
            std::uint64_t count = 0;
            while (auto item = p.next()) {
                ++count;
                if (item->value < 5000) ++a[static_cast<std::size_t>(item->id)];
                else if (item->pass == 0) ++b[static_cast<std::size_t>(item->id)];
            }
            CHECK(count <= p.world_max());
        }
        CHECK(a == std::vector<int>(7, 1));
        CHECK(b == std::vector<int>(20, 1));
    }
}

TEST_CASE("interleave: an error is no turn, comes in order and costs no other item", "[unit][interleave]") {
    auto p = ps::interleave({}, ps::named("a", test::throwing_source(4, {1, 3})), ps::named("b", test::throwing_source(4, {0}) | ps::map([](int i) { return i + 5000; })));
    CHECK(test::events_of(p, 100, test::shown{}) == std::vector<std::string>{"0", "error k0", "5001", "error k1", "2", "5002", "error k3", "5003", "end"});
    auto q = ps::interleave(rule(ps::stop_rule::all_restart), ps::named("a", test::throwing_source(2, {1})), ps::named("b", test::source_of({.n = 3})));
    q.reset(0, 0);
    CHECK(test::events_of(q, 100, test::shown{}) == std::vector<std::string>{"0", "0", "error k1", "10000", "1", "error k1", "20000", "2", "end"});
}

TEST_CASE("interleave: plain sources of unknown length end with the turn that finds nothing", "[unit][interleave]") {
    auto odd = [](int n) { return ps::range(n) | ps::filter([](std::int64_t i) { return i % 2 == 1; }); };
    CHECK((ps::interleave({}, odd(4), odd(8)) | ps::collect()) == std::vector<std::int64_t>{1, 1, 3, 3, 5, 7});
    CHECK((ps::interleave(rule(ps::stop_rule::first), odd(4), odd(8)) | ps::collect()) == std::vector<std::int64_t>{1, 1, 3, 3});
    CHECK((ps::interleave(rule(ps::stop_rule::all_restart), odd(4), odd(8)) | ps::collect()) == std::vector<std::int64_t>{1, 1, 3, 3, 1, 5, 3, 7, 1});
    CHECK((ps::interleave(rule(ps::stop_rule::forever), odd(4), odd(3)) | ps::take(7) | ps::collect()) == std::vector<std::int64_t>{1, 1, 3, 1, 1, 1, 3});
}

TEST_CASE("interleave: an empty source is an error, but for the rule `all`", "[unit][interleave]") {
    CHECK((ps::interleave({}, ps::range(0), ps::range(3), ps::range(0)) | ps::collect()) == std::vector<std::int64_t>{0, 1, 2});
    CHECK((ps::interleave({}, ps::range(0)) | ps::collect()).empty());
    for (auto stop : {ps::stop_rule::first, ps::stop_rule::all_restart, ps::stop_rule::forever}) {
        auto p = ps::interleave(rule(stop), ps::range(2), ps::named("none", ps::range(0)));
        for (int again = 0; again != 2; ++again)
            CHECK(config_text([&] { return p.next(); }).find("source 'none' must have an item, got an empty one\n  HINT: ") != std::string::npos);
        CHECK(config_text([&] { return p.reset(0, 0), 0; }) != "");
        auto q = ps::interleave(rule(stop), ps::range(2), ps::named("none", ps::range(2) | ps::filter([](auto) { return false; })));
        CHECK(q.next() == 0);
        for (int again = 0; again != 2; ++again)
            CHECK(test::error_of<ps::stage_error>([&] { return q.next(); }).find("source 'none' yielded nothing in pass 0\n  HINT: ") != std::string::npos);
    }
}

TEST_CASE("interleave: a rank whose part of every source is empty is told so, instead of turning for ever", "[unit][interleave]") {
    auto p = ps::interleave(rule(ps::stop_rule::forever), test::keyed_source(1, {0, 2}), test::keyed_source(1, {0, 2}));
    CHECK(test::error_of<ps::stage_error>([&] { return p.next(); }).find("this rank's share of every source is empty\n  HINT: batch each source first") != std::string::npos);
    auto q = ps::interleave(rule(ps::stop_rule::forever), test::keyed_source(1, {0, 2}) | ps::batch(1), test::keyed_source(1, {0, 2}) | ps::batch(1));
    CHECK(q.next()->empty());
    auto r = ps::interleave(rule(ps::stop_rule::forever), ps::named("none", 0.9, test::keyed_source(1, {0, 2})), ps::named("some", 0.1, test::keyed_source(3, {0, 2})));
    for (int i = 0; i != 50; ++i) CHECK(r.next());
}

TEST_CASE("interleave: sources cut by rank must know their largest part", "[unit][interleave]") {
    auto text = config_text([] { return ps::interleave({}, test::keyed_source(4) | ps::filter([](int) { return true; }), test::keyed_source(4) | ps::filter([](int) { return true; })); });
    CHECK(text.find("how many items source '0' has on any rank, got unknown\n  HINT: batch each source first") != std::string::npos);
    text = config_text([] { return ps::interleave({}, test::keyed_source(4) | ps::filter([](int) { return true; }) | ps::batch(2), test::keyed_source(4) | ps::batch(2)); });
    CHECK(text.find("HINT: batch each source first") != std::string::npos);
    struct unsure : test::debug_source<test::as_keyed<test::as_is>> {
        using test::debug_source<test::as_keyed<test::as_is>>::debug_source;
        ps::chain_facts facts() const { return {.counted = true}; }
    };
    auto p = ps::interleave({}, ps::pipeline(unsure({.n = 3}, {{}, 3})), ps::pipeline(unsure({.n = 3}, {{}, 3})));
    for (int again = 0; again != 2; ++again) CHECK(config_text([&] { return p.next(); }).find("source '0'") != std::string::npos);
}

TEST_CASE("interleave: more items than promised are an error, not a loss", "[unit][interleave]") {
    struct liar : test::debug_source<> {
        using test::debug_source<>::debug_source;
        ps::chain_facts facts() const { return ps::whole_of(2); }
    };
    auto p = ps::interleave({}, ps::pipeline(liar({.n = 3})), ps::pipeline(liar({.n = 2})));
    for (int i = 0; i != 4; ++i) CHECK(p.next());
    CHECK(test::error_of<ps::stage_error>([&] { return p.next(); }).find("source '0' promised at most 2 items on any rank, and yielded more\n  HINT: ") != std::string::npos);
}

TEST_CASE("interleave: what a source dropped at the end of a pass goes with its next item, or is handed on", "[unit][interleave]") {
    struct last_dropped : ps::stage_over<test::planned_source<test::as_keyed<test::as_is>>> {  // planned, and drops the last item of each pass
        using base = ps::stage_over<test::planned_source<test::as_keyed<test::as_is>>>;
        using item_type = ps::keyed<int>;
        explicit last_dropped(int n) : base(test::planned_source<test::as_keyed<test::as_is>>({.n = n}, test::as_keyed<test::as_is>{{}, n})) {}
        ps::dropped gone;
        std::optional<item_type> next() {
            auto item = this->up.next();
            if (item && this->up.hint().upper == 0) {
                gone.add(*item);
                return std::nullopt;
            }
            return item;
        }
        void save(ps::state_writer& w) const {
            this->up.save(w);
            gone.save(w.stage("last_dropped", 1));
        }
        void load(ps::state_reader& r) {
            this->up.load(r);
            gone.load(r.stage("last_dropped", 1));
        }
        ps::cover trailing() { return gone.take(); }
    };
    auto make = [](ps::stop_rule stop) { return ps::interleave(rule(stop), ps::named("a", ps::pipeline(last_dropped(3))), ps::named("b", test::keyed_source(6))); };
    auto p = make(ps::stop_rule::all_restart);
    p.reset(0, 0);
    std::vector<int> seen(12, 0);
    std::size_t pulled = 0;
    while (true) {
        auto q = make(ps::stop_rule::all_restart);
        q.load(p.save());
        auto item = p.next(), same = q.next();
        REQUIRE(item.has_value() == same.has_value());
        if (!item) break;
        CHECK(item->cover.count() == same->cover.count());
        if (++pulled % 2 == 1 || item->id < 2) item->cover.each([&](ps::interval i) { for (auto at = i.begin; at != i.end; ++at) ++seen[at]; });
    }
    auto q = make(ps::stop_rule::all);
    while (q.next()) {}
    CHECK(q.trailing().count() == 1);
    CHECK(q.trailing().empty());
}

TEST_CASE("interleave: bad weights, names and rules are named", "[unit][interleave]") {
    for (double const w : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
        auto const text = config_text([&] { return ps::interleave({}, ps::named("a", w, ps::range(1)), ps::named("b", 1, ps::range(1))); });
        CHECK(text.find(ps::message("must be finite and > 0, got ", w, " for 'a'\n  HINT: ")) != text.npos);
    }
    CHECK(config_text([] { return ps::interleave({}, ps::named("a", 1e-10, ps::range(1)), ps::named("b", 1, ps::range(1))); }).find("at least 2^-31 of the sum 1, got 1e-10 for 'a'\n  HINT: ") != std::string::npos);
    CHECK(config_text([] { return ps::interleave({}, ps::named("a", ps::range(1)), ps::named("a", ps::range(1))); }).find("interleave: the names of the sources must differ") != std::string::npos);
    test::ints src{.n = 3};
    CHECK(config_text([&] { return ps::interleave(rule(ps::stop_rule::forever), test::by_ref(src)); }).find("cannot be reset, got forever\n  HINT: ") != std::string::npos);
    std::vector<decltype(ps::named("", ps::range(0)))> none;
    CHECK(config_text([&] { return ps::interleave({}, std::move(none)); }).find("at least one source, got 0\n  HINT: ") != std::string::npos);
}

TEST_CASE("interleave: other weights, rules and picks than those saved are named", "[unit][interleave]") {
    auto make = [](ps::interleave_options o, double w) { return ps::interleave(o, ps::named("a", w, ps::range(3)), ps::named("b", 1, ps::range(3))); };
    auto const saved = make({}, 2).save();
    auto refused = [&](auto p) { return test::error_of<ps::state_error>([&] { return p.load(saved), 0; }); };
    CHECK(refused(make({}, 3)).find("source number 0 was saved with a share of 2, here it has 3\n  HINT: ") != std::string::npos);
    CHECK(refused(make({.stop = ps::stop_rule::first}, 2)).find("stop rule number 1, this one has 2 and number 0\n  HINT: ") != std::string::npos);
    CHECK(refused(make({.picks = ps::picks::random}, 2)).find("saved with exact picks, this one's are random\n  HINT: ") != std::string::npos);
    CHECK(refused(make({}, 2)) == "");
}

TEST_CASE("interleave: picks without a table go on where they were after a load", "[unit][interleave]") {
    auto const make = [] { return ps::interleave({}, ps::named("a", 5000, ps::range(900)), ps::named("b", 3001, ps::range(900) | ps::map([](auto i) { return i + 1000; })), ps::named("c", 7, ps::range(9) | ps::map([](auto i) { return i + 2000; }))); };
    for (int before : {1, 2, 5, 101, 700}) {
        auto whole = make();
        for (int i = 0; i != before; ++i) (void)whole.next();
        auto resumed = make();
        resumed.load(whole.save());
        for (int i = 0; i != 600; ++i) REQUIRE(resumed.next() == whole.next());
    }
}

TEST_CASE("interleave: a state is refused over sources of another length that take it themselves", "[unit][interleave]") {
    auto const make = [](std::int64_t n) { return ps::interleave(rule(ps::stop_rule::all_restart), ps::named("a", ps::pipeline(test::pliant_source(n)) | ps::batch(2)), ps::named("b", ps::range(6) | ps::batch(2))); };
    auto p = make(8);
    (void)p.next();
    auto const saved = p.save();
    auto const refused = [&](std::int64_t n) { return test::error_of<ps::state_error>([&] { auto other = make(n); return other.load(saved), 0; }); };
    CHECK(refused(12).find("load: interleave: source 'a' was saved with 4 of 4 turns per pass, here it has 6\n  HINT: read the data that was read then") != std::string::npos);
    CHECK(refused(7) == "");  // as many batches
    CHECK(refused(8) == "");
}

TEST_CASE("interleave: turns of huge sources are counted without replaying them", "[unit][interleave]") {
    auto const huge = std::int64_t{1} << 60;
    auto const most = [](auto&& p) { return ps::facts_of(p).world_max; };
    auto const two = [&](ps::interleave_options o, double weight, std::int64_t a, std::int64_t b) { return ps::interleave(o, ps::named("a", weight, ps::range(a)), ps::named("b", 1, ps::range(b))); };
    for (auto stop : {ps::stop_rule::first, ps::stop_rule::all_restart}) {
        CHECK(most(two(rule(stop), 1, huge, huge)) == 2 * static_cast<std::uint64_t>(huge) - (stop == ps::stop_rule::first));
        auto const at_random = ps::facts_of(two(rule(stop, ps::picks::random), 1, huge, huge));
        CHECK((!at_random.world_max && !at_random.counted));
    }
    CHECK(most(two(rule(ps::stop_rule::first), 1, 10, huge)) == 19u);
    CHECK(most(two(rule(ps::stop_rule::all_restart), 1, 10, huge)) == 2 * static_cast<std::uint64_t>(huge));
    auto const beyond = ps::facts_of(two(rule(ps::stop_rule::all_restart), 100, 10, huge));  // more turns than there are numbers
    CHECK((!beyond.world_max && !beyond.counted));
    for (auto stop : {ps::stop_rule::first, ps::stop_rule::all_restart})
        for (double weight : {1., 2., 7., 1.5})
            for (std::int64_t a = 1; a != 23; ++a)
                for (std::int64_t b : {1, 2, 5, 16}) {
                    auto p = two(rule(stop), weight, a, b);
                    auto const said = most(p);
                    std::uint64_t turns = 0;
                    while (p.next()) ++turns;
                    REQUIRE(said == turns);
                }
}

TEST_CASE("interleave: nothing is allocated per item", "[unit][interleave]") {
    for (auto picks : {ps::picks::exact, ps::picks::random}) {
        auto p = ps::interleave(rule(ps::stop_rule::all, picks), ps::named("a", .7, ps::range(7000)), ps::named("b", .2, ps::range(2000)), ps::named("c", .1, ps::range(1000)));
        for (int i = 0; i != 10; ++i) (void)p.next();
        auto const before = test::allocations();
        for (int i = 0; i != 5000; ++i) (void)p.next();
        CHECK(test::allocations() == before);
    }
}

TEST_CASE("interleave: a weight for some sources alone is refused, and an unknown number of batches behind any_pipeline too", "[unit][interleave]") {
    auto text = config_text([] { return ps::interleave({}, ps::named("a", 2, ps::range(2)), ps::named("b", ps::range(2))); });
    CHECK(text.find("got none for 'b'\n  HINT: ") != text.npos);
    text = config_text([] { return ps::interleave({}, ps::named("a", ps::range(2)), ps::named("b", 2, ps::range(2))); });
    CHECK(text.find("got none for 'a'\n  HINT: ") != text.npos);
    auto const kept = [](int) { return true; };
    text = config_text([&] {
        auto p = ps::interleave({}, ps::any(test::keyed_source(4) | ps::filter(kept) | ps::batch(2)) | ps::map([](auto b) { return b; }), ps::any(test::keyed_source(4) | ps::batch(2)) | ps::map([](auto b) { return b; }));
        return p.next();
    });
    CHECK(text.find("batch each source first") != text.npos);
}
