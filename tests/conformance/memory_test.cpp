// Every stage that holds items behind every other one: an epoch after the first few takes no more memory, whatever either holds, reads ahead or remembers.
#include <conformance/stage_kinds.hpp>
#include <penstock/concurrency/executor.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/cache.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/steer.hpp>
#include <penstock/stages/unbatch.hpp>

#include <support/allocations.hpp>
#include <support/bare.hpp>
#include <support/sources.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

constexpr int length = 60, stretch = 8, stretches = 5;
constexpr std::int64_t slack = 2048;

test::items source(int n) { return ps::any(test::keyed_source(n)); }

/// Not among the stages of random chains, as it takes items without an identity alone.
test::stage_kind cache() {
    return {"cache", 1, false, false, [](test::any_chain c, int, test::surroundings const&) {
                return test::any_chain(ps::any(std::get<test::items>(std::move(c)) | test::bare() | ps::cache({.items = 100}) | ps::map([](int i) { return ps::keyed<int>{.id = static_cast<std::uint64_t>(i), .value = i}; })));
            }};
}
test::any_chain in_form(test::any_chain c, bool batches) {
    if (batches == std::holds_alternative<test::batches>(c)) return c;
    if (batches) return ps::any(std::get<test::items>(std::move(c)) | ps::batch(2));
    return ps::any(std::get<test::batches>(std::move(c)) | ps::unbatch());
}
template <class P>
void read(P& p, std::uint64_t epoch) {
    p.reset(1, epoch);
    for (int pulls = 0; pulls != 20 * length; ++pulls) try {
            if (!p.next()) break;
        } catch (ps::config_error const&) {
            throw;
        } catch (std::exception const&) {  // of the stages that fail
        }
}
/// Bytes by which the chain grew from one stretch of epochs to the next, in every one of them: tables that find their size, or a thread that gets
/// further ahead than ever, grow once.
std::int64_t growth(test::stage_kind const& first, test::stage_kind const& second, ps::executor& pool) {
    test::surroundings const around{[] { return source(length / 2); }, &pool, 2};
    auto c = in_form(source(length), first.over_batches);
    c = first.put(std::move(c), std::min(first.most, 5), around);
    c = second.put(in_form(std::move(c), second.over_batches), std::min(second.most, 5), around);
    return std::visit(
        [](auto& p) {
            std::uint64_t e = 0;
            auto highest = [&] {
                std::int64_t most = 0;
                for (auto const end = e + stretch; e != end; ++e) read(p, e), most = std::max(most, test::live_bytes());
                return most;
            };
            auto before = highest();
            std::int64_t least = 0;
            for (int k = 0; k != stretches; ++k) {
                auto const now = highest();
                least = now - std::exchange(before, now);
                if (least <= slack) return least;
            }
            return least;
        },
        c);
}

/// The kinds of stages that hold items, read ahead, remember, or start their sources again.
std::vector<test::stage_kind> holding() {
    std::vector<test::stage_kind> all{cache()};
    for (auto const name : {"shuffle", "shuffle of batches", "parallel_map", "parallel_map, unordered", "prefetch", "prefetch of batches", "batch", "batch, pad", "batch_by_cost", "bucket_by_length", "window", "dedup",
                            "flat_map", "cycle", "zip", "join_by_key", "chain", "interleave all", "interleave restarting", "combine, cycling", "steer"}) {
        auto const& kinds = test::stage_kinds();
        all.push_back(*std::ranges::find(kinds, name, &test::stage_kind::name));
    }
    return all;
}

}  // namespace

TEST_CASE("memory: a chain of any two stages that hold items is flat after its first epochs", "[unit][memory]") {
    ps::executor pool(1);
    auto const kinds = holding();
    std::size_t refused = 0;
    for (auto const& first : kinds)
        for (auto const& second : kinds) try {
                auto const bytes = growth(first, second, pool);
                INFO(first.name << " | " << second.name << " grew by " << bytes << " bytes in each " << stretch << " epochs");
                if (bytes > slack) CHECK(bytes <= slack);
            } catch (ps::config_error const&) {
                ++refused;  // a fan-in over a stage that does not know its number of items
            }
    CHECK(refused < kinds.size() * kinds.size() / 4);
}

TEST_CASE("memory: a control that is set after every batch costs no more than what is held behind it", "[unit][memory]") {
    for (bool const ahead : {false, true}) {
        ps::control<int> c("up", 0);
        auto p = test::items(ps::any(source(20'000) | ps::steer(c, [](int up, int i) { return i + up; }) | ps::shuffle(20))) | ps::batch(4);
        auto q = ps::any(std::move(p));
        if (ahead) q = ps::any(std::move(q) | ps::shuffle(2));
        q.reset(1, 0);
        std::size_t most = 0;
        std::int64_t early = 0;
        for (int k = 0; auto const b = q.next(); ++k) {
            q.set(c, k + 1);
            if (k >= 500) most = std::max(most, q.save().text().size());
            if (k == 500) early = test::live_bytes();
        }
        CHECK(most < 4096);
        CHECK(test::live_bytes() - early < 8 * slack);
    }
}
