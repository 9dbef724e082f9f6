#include <penstock/core/describe.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/inspect.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/watch.hpp>

#include <chrono>
#include <string>
#include <thread>

#include <support/catch.hpp>

namespace ps = penstock;

namespace {
bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }
auto slow(int which) {
    return [which](auto) {
        if (which != 0) std::this_thread::sleep_for(std::chrono::microseconds(which));
    };
}
/// A chain whose inspect stage number `slow_one` sleeps.
std::string described(int slow_one) {
    auto p = ps::range(200) | ps::watch("numbers") | ps::map([t = slow_one == 0 ? 200 : 0](auto i) {
                 slow(t)(i);
                 return i;
             }) | ps::shuffle(10) | ps::inspect([t = slow_one == 1 ? 200 : 0](auto i) { slow(t)(i); }) | ps::batch(8);
    while (p.next()) {
    }
    return p.describe();
}
}  // namespace

TEST_CASE("describe: the stage that sleeps is named", "[unit][describe]") {
    auto const first = described(0), second = described(1);
    CAPTURE(first, second);
    CHECK(has(first, "bottleneck: map, "));
    CHECK(has(second, "bottleneck: inspect, "));
    CHECK(has(second, "on the consumer's thread"));
    CHECK(has(second, "HINT: put prefetch()"));
    for (auto const* name : {"numbers", "map", "shuffle", "inspect", "batch"}) CHECK(has(first, std::string(name) + " "));
    CHECK(has(first, "200 items"));
    CHECK(has(first, " 25 items"));
}

TEST_CASE("describe: a slow consumer is not the data's fault, and an untimed chain says so", "[unit][describe]") {
    auto p = ps::range(60) | ps::watch();
    while (p.next()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(has(p.describe(), "bottleneck: none in the data"));
    CHECK(has(ps::range(3).describe(), "after watch()"));
}

TEST_CASE("describe: work before a stage with threads is in the background, and branches are drawn aside", "[unit][describe]") {
    auto entry = [](char const* name, std::uint64_t total, std::uint32_t inputs = 1) {
        ps::stage_stats s;
        s.name = name;
        s.items = 1000;
        s.total_ns = total * 1'000'000;
        s.age_ns = 1'000'000'000;
        s.inputs = inputs;
        s.probed = true;
        return s;
    };
    auto prefetch = entry("prefetch", 500);
    prefetch.threads = true;
    ps::stats_report const all{entry("a/read", 100, 0), entry("a/decode", 800), entry("b/read", 60, 0), entry("interleave", 870, 2), prefetch, entry("batch", 510)};
    auto const s = ps::shares(all);
    CHECK(s[1].own_ns == 700'000'000);
    CHECK(s[3].own_ns == 10'000'000);
    CHECK(s[4].own_ns == 0);
    CHECK(s[5].own_ns == 10'000'000);
    CHECK((s[0].depth == 1 && s[1].depth == 1 && s[2].depth == 1 && s[3].depth == 0 && s[5].depth == 0));
    CHECK((s[0].thread == 1 && s[3].thread == 1 && s[4].thread == 0 && s[5].thread == 0));
    CHECK(ps::bottleneck(all) ==
          "bottleneck: a/decode, 80 % of the work in the background, 700 us per item; the consumer waited 51 % of its time. HINT: spread it over threads with parallel_map, or make it cheaper");
    CHECK(ps::describe(all).starts_with("  a/read     1,000 items    100 us each    11 % of the work\n"));
    CHECK(has(ps::describe(all), "prefetch     1,000 items   waited for 50 % of the time\n"));
}
