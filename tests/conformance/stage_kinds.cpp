#include <conformance/stage_kinds.hpp>

#include <penstock/concurrency/parallel_map.hpp>
#include <penstock/concurrency/prefetch.hpp>
#include <penstock/stages/alternate.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/batch_by_cost.hpp>
#include <penstock/stages/bucket_by_length.hpp>
#include <penstock/stages/chain.hpp>
#include <penstock/stages/combine.hpp>
#include <penstock/stages/cycle.hpp>
#include <penstock/stages/dedup.hpp>
#include <penstock/stages/enumerate.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/filter_map.hpp>
#include <penstock/stages/flat_map.hpp>
#include <penstock/stages/inspect.hpp>
#include <penstock/stages/interleave.hpp>
#include <penstock/stages/join_by_key.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/map_keyed.hpp>
#include <penstock/stages/on_error.hpp>
#include <penstock/stages/scan.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/skip.hpp>
#include <penstock/stages/skip_while.hpp>
#include <penstock/stages/steer.hpp>
#include <penstock/stages/step_by.hpp>
#include <penstock/stages/take.hpp>
#include <penstock/stages/take_while.hpp>
#include <penstock/stages/unbatch.hpp>
#include <penstock/stages/window.hpp>
#include <penstock/stages/zip.hpp>

#include <chrono>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <utility>

namespace penstock::test {

namespace {

using one = batch_of<int>;

/// Keeps numbers from growing out of an int, however many stages calculate with them.
int small(long long n) { return static_cast<int>(n % 1'000'003); }
int digit(int i) { return std::abs(i) % 10; }
int digit(one const& b) { return b.empty() ? 0 : digit(b.items.front()); }
skips everything() { return {.total = 20'000, .in_a_row = 2'000, .user = true}; }  // a mix that fails for ever is given up in a second

/// One batch of two: what a user makes of a pair of batches keeps whose it is and where it comes from.
one side_by_side(std::tuple<one, one> both) {
    auto& [a, b] = both;
    a.items.insert(a.items.end(), b.items.begin(), b.items.end());
    a.ids.insert(a.ids.end(), b.ids.begin(), b.ids.end());
    a.weights.insert(a.weights.end(), b.weights.begin(), b.weights.end());
    a.cover.add(b.cover);
    return std::move(a);
}

/// A stage over items of type In that make(argument, surroundings) builds.
template <class In, class Out = In, class Make>
stage_kind over(std::string name, int most, traits does, Make make, std::uint64_t times = 1) {
    return {std::move(name), most, std::is_same_v<In, one>, std::is_same_v<Out, one>,
            [make](any_chain c, int a, surroundings const& s) { return any_chain(any(std::get<any_pipeline<In>>(std::move(c)) | make(a, s))); }, does, times};
}
template <class Make>
stage_kind item(std::string name, int most, traits does, Make make, std::uint64_t times = 1) {
    return over<keyed<int>>(std::move(name), most, does, [make](int a, surroundings const&) { return make(a); }, times);
}
template <class Make>
stage_kind batched(std::string name, int most, traits does, Make make) {
    return over<keyed<int>, one>(std::move(name), most, does, [make](int a, surroundings const&) { return make(a); });
}
template <class Make>
stage_kind batch(std::string name, int most, traits does, Make make, std::uint64_t times = 1) {
    return over<one>(std::move(name), most, does, [make](int a, surroundings const&) { return make(a); }, times);
}

/// Stages over both that are told the same way.
template <class Make>
void both(std::vector<stage_kind>& all, std::string const& name, int most, traits does, Make make, std::uint64_t times = 1) {
    all.push_back(over<keyed<int>>(name, most, does, make, times));
    all.push_back(over<one>(name + " of batches", most, does, make, times));
}
/// A fan-in of the chain and another source of the same item type: make(argument, chain, source).
template <class Make>
void fan_in(std::vector<stage_kind>& all, std::string const& name, int most, traits does, Make make) {
    does.joins = true;
    auto single = does;
    single.here = single.tilts = true;
    all.push_back({name, most, false, false, [make](any_chain c, int a, surroundings const& s) { return any_chain(any(make(a, std::get<items>(std::move(c)), s.other()))); }, single});
    all.push_back({name + " of batches", most, true, true,
                   [make](any_chain c, int a, surroundings const& s) { return any_chain(any(make(a, std::get<batches>(std::move(c)), any(s.other() | penstock::batch(2))))); }, does});
}
template <class Make>
stage_kind combined(std::string name, traits does, combine_mode mode, Make of) {
    does.joins = does.counted = does.here = does.tilts = does.drops = does.repeats = true;
    return {std::move(name), 1, false, false,
            [mode, of](any_chain c, int, surroundings const& s) { return any_chain(any(combine(mode, named("main", std::get<items>(std::move(c))), named("other", s.other())) | map(of))); }, does};
}
auto mixed(stop_rule stop, picks how) {
    return [stop, how](int, auto c, auto other) { return interleave({.stop = stop, .picks = how}, named("main", 3, std::move(c)), named("other", 2, std::move(other))); };
}

std::vector<stage_kind> made() {
    std::vector<stage_kind> all{
        item("map", 3, {}, [](int a) { return map([a](int i) { return i + a; }); }),
        item("map that fails", 9, {.drops = true}, [](int a) {
            return map([a](int i) {
                if (digit(i) == a) throw std::runtime_error("map: " + std::to_string(i));
                return i;
            });
        }),
        item("map_keyed", 3, {}, [](int a) { return map_keyed([a](auto const& k) { return small(k.value + static_cast<long long>(k.id) * a); }); }),
        item("filter", 5, {.drops = true, .uncounts = true}, [](int a) { return filter([a](int i) { return i % (a + 1) != 0; }); }),
        item("filter_map", 5, {.drops = true, .uncounts = true}, [](int a) { return filter_map([a](int i) { return i % 5 == a ? std::nullopt : std::optional(i + a); }); }),
        item("flat_map", 3, {.drops = true, .repeats = true, .uncounts = true}, [](int a) { return flat_map([a](int i) { return std::vector<int>(static_cast<std::size_t>((digit(i) + a) % 4), i); }); }),
        item("take_while", 30, {.drops = true, .cuts = true, .uncounts = true, .here = true}, [](int a) { return take_while([a](int i) { return i % 100 < 3 * a; }); }),
        item("skip_while", 9, {.drops = true, .uncounts = true, .here = true}, [](int a) { return skip_while([a](int i) { return i % 100 < a; }); }),
        item("enumerate", 1, {.here = true}, [](int) { return enumerate() | map([](auto const& n) { return small(static_cast<long long>(n.index) * 1000 + n.value); }); }),
        item("scan", 3, {.here = true}, [](int a) { return scan(a, [](int& sum, int i) { return sum = (sum + i) % 99991; }); }),
        item("window", 5, {.drops = true, .tilts = true}, [](int a) { return window(a) | map([](auto const& w) { return small(std::accumulate(w.begin(), w.end(), 0LL)); }); }),
        item("window, steps", 4, {.drops = true, .tilts = true}, [](int a) { return window(3, a) | map([](auto const& w) { return small(7LL * w.front() + w.back()); }); }),
        item("dedup", 9, {.drops = true, .uncounts = true}, [](int a) { return dedup(a, [](int i) { return i % 7; }); }),
        item("steer", 3, {}, [](int a) { return steer(control<int>("by", a), [](int by, int i) { return small(1LL * i * by); }); }),
        batched("batch", 7, {.levels = true}, [](int a) { return penstock::batch(a); }),
        batched("batch, drop", 7, {.drops = true, .levels = true}, [](int a) { return penstock::batch(a, {.remainder = remainder::drop}); }),
        batched("batch, pad", 7, {.levels = true}, [](int a) { return penstock::batch(a, {.remainder = remainder::pad}); }),
        batched("batch_by_cost", 30, {.uncounts = true, .here = true, .tilts = true}, [](int a) { return batch_by_cost(10 + a, [](int i) { return digit(i) + 1; }); }),
        batched("bucket_by_length", 9, {.uncounts = true, .tilts = true}, [](int a) {
            return bucket_by_length([](int i) { return static_cast<std::uint64_t>(digit(i)); }, {.boundaries = {3, 6}, .sizes = {3, 2, 2}, .max_wait = static_cast<std::uint64_t>(a)});
        }),
        over<one, keyed<int>>("unbatch", 1, {.again = true, .uncounts = true, .tilts = true}, [](int, surroundings const&) { return unbatch(); }),
        batch("map of batches", 3, {}, [](int a) {
            return map([a](one b) {
                for (auto& i : b.items) i = small(i + a);
                return b;
            });
        }),
        batch("map that makes batches", 3, {.repeats = true}, [](int a) { return map([a](one const& b) { return one{.items = std::vector<int>(b.size(), a)}; }); }),
        batch("map of batches that fails", 9, {.drops = true}, [](int a) {
            return map([a](one b) {
                if (digit(b) == a) throw std::runtime_error("map: " + std::to_string(b.size()));
                return b;
            });
        }),
        batch("filter of batches", 9, {.drops = true, .uncounts = true, .tilts = true}, [](int a) { return filter([a](one const& b) { return digit(b) != a; }); }),
        batch("filter_map of batches", 9, {.drops = true, .uncounts = true, .tilts = true}, [](int a) { return filter_map([a](one b) { return digit(b) == a ? std::nullopt : std::optional(std::move(b)); }); }),
    };
    both(all, "skip", 5, {.drops = true, .here = true}, [](int a, auto&) { return skip(a); });
    both(all, "take", 20, {.drops = true, .cuts = true, .here = true}, [](int a, auto&) { return take(a); });
    both(all, "step_by", 4, {.drops = true, .here = true}, [](int a, auto&) { return step_by(a); });
    both(all, "cycle", 2, {.here = true}, [](int a, auto&) { return cycle(a); }, 0);
    both(all, "on_error", 1, {.tilts = true}, [](int, auto&) { return on_error(everything()); });
    both(all, "inspect", 1, {}, [](int, auto&) { return inspect([](auto const&) {}); });
    both(all, "shuffle", 12, {}, [](int a, auto&) { return shuffle(a); });
    both(all, "shuffle, warm", 12, {}, [](int a, auto&) { return shuffle({.window = a, .warm = true}); });
    both(all, "prefetch", 40, {}, [](int a, surroundings const& s) { return prefetch({.items = a, .executor = s.pool}); });
    both(all, "parallel_map", 20, {}, [](int a, surroundings const& s) { return parallel_map([](auto i) { return i; }, {.threads = s.threads, .window = a, .executor = s.pool}); });
    both(all, "parallel_map, unordered", 20, {.unordered = true},
         [](int a, surroundings const& s) {
             auto const slow = s.threads > 1;  // so that other threads take part
             return parallel_map([slow](auto i) {
                 if (slow && digit(i) % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
                 return i;
             }, {.threads = s.threads, .window = a, .ordered = false, .executor = s.pool});
         });
    fan_in(all, "chain", 1, {}, [](int, auto c, auto other) { return chain(named("main", std::move(c)), named("other", std::move(other))); });
    fan_in(all, "alternate", 4, {.counted = true}, [](int a, auto c, auto other) { return alternate(a, named("main", std::move(c)), named("other", std::move(other))); });
    fan_in(all, "interleave first", 1, {.cuts = true, .counted = true}, mixed(stop_rule::first, picks::exact));
    fan_in(all, "interleave all", 1, {.counted = true}, mixed(stop_rule::all, picks::exact));
    fan_in(all, "interleave all at random", 1, {.counted = true}, mixed(stop_rule::all, picks::random));
    fan_in(all, "interleave restarting", 1, {.counted = true, .here = true, .goes_on = true}, mixed(stop_rule::all_restart, picks::exact));
    fan_in(all, "interleave for ever", 40, {.counted = true, .here = true, .goes_on = true},
           [](int a, auto c, auto other) { return mixed(stop_rule::forever, picks::random)(a, std::move(c), std::move(other)) | take(a); });
    auto const two = [](auto const& v) { return small(100LL * std::get<0>(v).value_or(7) + std::get<1>(v).value_or(9)); };
    all.push_back({"zip", 1, false, false,
                   [](any_chain c, int, surroundings const& s) {
                       return any_chain(any(zip(named("main", std::get<items>(std::move(c))), named("other", s.other())) | map([](auto const& v) { return small(100LL * std::get<0>(v) + std::get<1>(v)); })));
                   },
                   {.drops = true, .cuts = true, .here = true, .joins = true, .in_step = true, .tilts = true}});
    all.push_back({"zip of batches", 3, true, true,
                   [](any_chain c, int a, surroundings const& s) {
                       return any_chain(any(zip(named("main", std::get<batches>(std::move(c))), named("other", any(s.other() | penstock::batch(a)))) | map([](auto both) { return side_by_side(std::move(both)); })));
                   },
                   {.drops = true, .cuts = true, .here = true, .joins = true, .in_step = true, .tilts = true}});
    all.push_back({"join_by_key", 20, false, false,
                   [](any_chain c, int a, surroundings const& s) {
                       return any_chain(any(join_by_key(named("main", std::get<items>(std::move(c))), named("other", s.other()), {.window = a, .no_partner = no_partner::skip}) |
                                            map([](auto const& v) { return small(100LL * std::get<0>(v) + std::get<1>(v)); })));
                   },
                   {.drops = true, .here = true, .joins = true, .in_step = true, .tilts = true}});
    all.push_back(combined("combine, shortest", {.cuts = true}, combine_mode::min_size, two));
    all.push_back(combined("combine, longest", {}, combine_mode::max_size, two));
    all.push_back(combined("combine, cycling", {.goes_on = true}, combine_mode::max_size_cycle, two));
    all.push_back(combined("combine, one after the other", {}, combine_mode::sequential, two));
    return all;
}

}  // namespace

std::vector<stage_kind> const& stage_kinds() {
    static auto const all = made();
    return all;
}

}  // namespace penstock::test
