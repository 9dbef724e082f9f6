// What does shuffle(10'000) cost, and does it mix like a classic buffer of 10,000, which hands out a random item of a full buffer?
//   shuffle_ns                  CPU time per integer in steady state, range included; the classic buffer beside it
//   shuffle_displacement_ratio  how far items move, on average, over the classic buffer's
//   shuffle_neighbour_ratio     how far apart two that came one after the other leave, on average, over the classic buffer's
//   shuffle_first_item_pulls    items read before the first one leaves: the median of 40 seeds
//   shuffle_state_bytes         what saving in the middle of an epoch adds to the state of the stages before it: its own records and text
#include <support/bench.hpp>

#include <penstock/core/random.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/stages/inspect.hpp>
#include <penstock/stages/shuffle.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <utility>
#include <vector>

namespace ps = penstock;
namespace bench = penstock::bench;

namespace {

using number = std::int64_t;
constexpr number window = 10'000;
constexpr number timed = 2'000'000, before = 10 * window;  // what is held settles in a few windows

/// The classic one: a full buffer, from which a random item leaves for each that comes.
class classic_buffer {
public:
    explicit classic_buffer(std::uint64_t seed) : random_(seed, 0, 0) { items_.reserve(window); }

    /// Hands the item that leaves to f, if one does.
    template <class F>
    void put(number x, F&& f) {
        if (items_.size() != window) items_.push_back(x);
        else f(std::exchange(items_[random_.below(window)], x));
    }
    template <class F>
    void drain(F&& f) {
        while (!items_.empty()) {
            std::swap(items_[random_.below(static_cast<std::uint32_t>(items_.size()))], items_.back());
            f(items_.back());
            items_.pop_back();
        }
    }

private:
    ps::random_stream random_;
    std::vector<number> items_;
};

double ours_ns(std::uint64_t seed) {
    auto chain = ps::range(before + timed + 5 * window) | ps::shuffle(window);
    chain.reset(seed, 0);
    for (number i = 0; i != before; ++i) (void)chain.next();
    auto const spent = bench::measure([&] {
        number total = 0;
        for (number i = 0; i != timed; ++i) total += *chain.next();
        bench::keep(total);
    });
    return 1e9 * spent.cpu_s / static_cast<double>(timed);
}

double classic_ns(std::uint64_t seed) {
    classic_buffer buffer(seed);
    number total = 0, i = 0;
    auto const add = [&](number x) { total += x; };
    for (; i != before; ++i) buffer.put(i, add);
    auto const spent = bench::measure([&] {
        for (; i != before + timed; ++i) buffer.put(i, add);
        bench::keep(total);
    });
    return 1e9 * spent.cpu_s / static_cast<double>(timed);
}

struct mixing {
    double displacement = 0;  ///< mean |place after - place before|
    double neighbour = 0;     ///< mean |place of i + 1 - place of i|, after
};

/// Edges are left out: the first and the last items of an epoch have less to mix with, in any buffer.
mixing mixing_of(std::vector<number> const& order) {
    std::vector<number> place(order.size());
    for (std::size_t i = 0; i != order.size(); ++i) place[static_cast<std::size_t>(order[i])] = static_cast<number>(i);
    mixing m;
    auto const from = static_cast<std::size_t>(5 * window), to = order.size() - from;
    for (auto i = from; i != to; ++i) {
        m.displacement += std::abs(static_cast<double>(place[i] - static_cast<number>(i)));
        m.neighbour += std::abs(static_cast<double>(place[i + 1] - place[i]));
    }
    m.displacement /= static_cast<double>(to - from);
    m.neighbour /= static_cast<double>(to - from);
    return m;
}

constexpr number mixed = 500'000;

mixing ours(std::uint64_t seed) {
    auto chain = ps::range(mixed) | ps::shuffle(window);
    chain.reset(seed, 0);
    std::vector<number> order;
    while (auto x = chain.next()) order.push_back(*x);
    if (order.size() != mixed) throw std::runtime_error("shuffle lost or repeated items");
    return mixing_of(order);
}
mixing classic(std::uint64_t seed) {
    classic_buffer buffer(seed);
    std::vector<number> order;
    auto const add = [&](number x) { order.push_back(x); };
    for (number i = 0; i != mixed; ++i) buffer.put(i, add);
    buffer.drain(add);
    return mixing_of(order);
}

/// Items pulled before the first one leaves.
double first_item_pulls(std::uint64_t seed) {
    double pulls = 0;
    auto chain = ps::range(mixed) | ps::inspect([&](number) { ++pulls; }) | ps::shuffle(window);
    chain.reset(seed, 0);
    (void)chain.next();
    return pulls;
}

double state_bytes(std::uint64_t seed) {
    auto const half = [&](auto chain) {
        chain.reset(seed, 0);
        for (number i = 0; i != mixed / 2; ++i) (void)chain.next();
        return static_cast<double>(chain.save().text().size());
    };
    return half(ps::range(mixed) | ps::shuffle(window)) - half(ps::range(mixed));
}

void measure(int argc, char** argv) {
    std::uint64_t seed = 0;
    auto const found = bench::interleave({{"shuffle", [&] { return ours_ns(++seed); }}, {"classic", [&] { return classic_ns(++seed); }}});
    std::vector<double> displacement, neighbour, pulls, bytes;
    for (std::uint64_t s = 0; s != 11; ++s) {
        auto const a = ours(s), b = classic(s);
        displacement.push_back(a.displacement / b.displacement);
        neighbour.push_back(a.neighbour / b.neighbour);
    }
    for (std::uint64_t s = 0; s != 40; ++s) pulls.push_back(first_item_pulls(s));
    for (std::uint64_t s = 0; s != 11; ++s) bytes.push_back(state_bytes(s));

    bench::report out("chain_shuffle", argc, argv);
    out.add({.name = "shuffle_ns", .value = bench::summary(found[0]), .unit = "ns/item", .goal = bench::at_most(25)});
    out.add({.name = "classic_buffer_ns", .value = bench::summary(found[1]), .unit = "ns/item"});
    out.add({.name = "shuffle_displacement_ratio", .value = bench::summary(displacement), .unit = "x", .vs = "classic buffer", .goal = bench::between(0.9, 1.1)});
    out.add({.name = "shuffle_neighbour_ratio", .value = bench::summary(neighbour), .unit = "x", .vs = "classic buffer", .goal = bench::between(0.9, 1.1)});
    out.add({.name = "shuffle_first_item_pulls", .value = bench::summary(pulls), .unit = "items", .goal = bench::at_most(200)});
    out.add({.name = "shuffle_state_bytes", .value = bench::summary(bytes), .unit = "bytes", .goal = bench::at_most(200)});
    (void)out.finish();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        measure(argc, argv);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "chain_shuffle: %s\n", e.what());
        return 1;
    }
}
