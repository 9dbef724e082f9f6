// Implements: stage_kinds(), the table of stages that random chains are made of.
#include <conformance/chain_maker.hpp>

#include <cmath>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <tuple>

namespace penstock::test {

namespace {

template <class Make>
stage_kind kind(std::string name, int most, Make make) {
    return {std::move(name), most, [make](chain c, int a) { return any(std::move(c) | make(a)); }};
}
/// Keeps numbers from growing out of an int, however many stages calculate with them.
int small(long long n) { return static_cast<int>(n % 1'000'003); }

/// Puts single items on the outside of a batch again.
auto flattened() {
    return stage("flattened", []<class S>(S input) {
        struct flat : stage_over<S> {
            using item_type = chain_item;
            using stage_over<S>::stage_over;
            std::optional<item_type> next() {
                auto b = this->up.next();
                if (!b) return std::nullopt;
                    auto sum = 0;
                for (auto i : b->items) sum = small(31LL * sum + i);
                return item_type{b->ids.empty() ? 0 : b->ids.front(), b->pass, std::move(b->cover), message(b->size()), b->weight(), sum};
            }
        };
        return flat(std::move(input));
    });
}

/// Another source with items of its own, for stages with several inputs.
chain other(int n) {
    return any(pipeline(planned_source<as_keyed<as_is>>(source_spec{.n = n}, as_keyed<as_is>{{}, n})) | map([](int i) { return -i; }));
}
template <class Make>
stage_kind ahead(std::string name, int most, Make make) {
    auto k = kind(std::move(name), most, make);
    k.ahead = true;
    return k;
}
/// A fan-in over keyed items wants to know how many there are; behind a stage that forgets it the chain stays as it is.
template <class Make>
stage_kind fan_in(std::string name, int most, Make make) {
    return {std::move(name), most, [make](chain c, int a) { return c.world_max() ? any(make(a, std::move(c))) : std::move(c); }};
}
template <class Make>
stage_kind mixed(std::string name, stop_rule stop, picks how, Make end) {
    auto k = fan_in(std::move(name), 9, [stop, how, end](int a, chain c) {
        return interleave({.stop = stop, .picks = how}, named("main", 3, std::move(c)), named("other", a, other(a))) | end;
    });
    k.carries_over = stop == stop_rule::all_restart || stop == stop_rule::forever;
    return k;
}

}  // namespace

std::vector<stage_kind> const& stage_kinds() {
    static auto const all = std::vector<stage_kind>{
        kind("map", 3, [](int a) { return map([a](int i) { return i + a; }); }),
        kind("map that fails", 9, [](int a) {
            return map([a](int i) {
                if (i % 10 == a) throw std::runtime_error("map: " + std::to_string(i));
                return i;
            });
        }),
        kind("map_keyed", 3, [](int a) { return map_keyed([a](auto const& item) { return item.value + static_cast<int>(item.id) * a; }); }),
        kind("filter", 5, [](int a) { return filter([a](int i) { return i % (a + 1) != 0; }); }),
        kind("filter_map", 5, [](int a) { return filter_map([a](int i) { return i % 5 == a ? std::nullopt : std::optional(i + a); }); }),
        kind("flat_map", 3, [](int a) { return flat_map([a](int i) { return std::vector<int>(static_cast<std::size_t>((std::abs(i) % 10 + a) % 4), i); }); }),
        kind("skip", 5, [](int a) { return skip(a); }),
        kind("take_while", 30, [](int a) { return take_while([a](int i) { return i % 10000 < a; }); }),
        kind("skip_while", 9, [](int a) { return skip_while([a](int i) { return i % 10000 < a; }); }),
        kind("step_by", 4, [](int a) { return step_by(a); }),
        kind("enumerate", 1, [](int) { return enumerate() | map([](auto const& n) { return small(static_cast<long long>(n.index) * 1000 + n.value); }); }),
        kind("scan", 3, [](int a) { return scan(a, [](int& sum, int i) { return sum = (sum + i) % 99991; }); }),
        kind("window", 5, [](int a) { return window(a) | map([](auto const& w) { return small(std::accumulate(w.begin(), w.end(), 0LL)); }); }),
        kind("window, steps", 4, [](int a) { return window(3, a) | map([](auto const& w) { return small(7LL * w.front() + w.back()); }); }),
        kind("dedup", 9, [](int a) { return dedup(a, [](int i) { return i % 7; }); }),
        kind("cycle", 2, [](int a) { return cycle(a); }),
        kind("on_error", 1, [](int) { return on_error(skips{.total = 1000, .in_a_row = 1000}); }),
        kind("split_by_rank", 2, [](int a) { return split_by_rank({static_cast<std::uint32_t>(a - 1), 2}); }),
        kind("batch, drop", 7, [](int a) { return batch(a, {.remainder = remainder::drop}) | flattened(); }),
        kind("batch, pad", 7, [](int a) { return batch(a, {.remainder = remainder::pad}) | flattened(); }),
        kind("batch_by_cost", 30, [](int a) { return batch_by_cost(10 + a, [](int i) { return std::abs(i) % 9 + 1; }) | flattened(); }),
        kind("bucket_by_length", 9, [](int a) {
            return bucket_by_length([](int i) { return static_cast<std::uint64_t>(std::abs(i)) % 9; }, {.boundaries = {3, 6}, .sizes = {3, 2, 2}, .max_wait = static_cast<std::uint64_t>(a)}) | flattened();
        }),
        kind("unbatch", 7, [](int a) { return batch(a) | unbatch(); }),
        ahead("parallel_map", 20, [](int a) { return parallel_map([](int i) { return i + 1; }, {.window = a}); }),
        fan_in("chain", 5, [](int a, chain c) { return penstock::chain(std::move(c), other(a)); }),
        fan_in("zip", 20, [](int a, chain c) { return zip(std::move(c), other(a)) | map([](auto const& both) { return small(100LL * std::get<0>(both) + std::get<1>(both)); }); }),
        fan_in("alternate", 4, [](int a, chain c) { return alternate(a, std::move(c), other(6)); }),
        mixed("interleave first", stop_rule::first, picks::exact, inspect([](int) {})),
        mixed("interleave all", stop_rule::all, picks::random, inspect([](int) {})),
        mixed("interleave restarting", stop_rule::all_restart, picks::exact, inspect([](int) {})),
        mixed("interleave for ever", stop_rule::forever, picks::random, take(40)),
        kind("inspect", 1, [](int) { return inspect([](int) {}); }),
        kind("take", 20, [](int a) { return take(a); }),
        kind("shuffle", 12, [](int a) { return shuffle(a); }),
        kind("shuffle warm", 12, [](int a) { return shuffle({.window = a, .warm = true}); }),
        kind("batch", 7, [](int a) { return batch(a) | flattened(); }),
        kind("steer", 3, [](int a) { return steer(control<int>("by", a), [](int by, int i) { return small(1LL * i * by); }); }),
        ahead("prefetch", 40, [](int a) { return prefetch(a); }),
    };
    return all;
}

}  // namespace penstock::test
