// Implements: config, one configuration of the campaign: shards and their damage, the chain over them, the world; and what it is to pull such a chain.
#pragma once

#include <conformance/stage_kinds.hpp>  // defines: any_chain, stage_kind, surroundings, traits
#include <penstock/core/ledger.hpp>     // defines: ledger
#include <penstock/core/random.hpp>     // defines: random_stream
#include <penstock/core/world.hpp>      // defines: world

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace penstock::test {

/// Positions and samples of source s are told apart from those of the others by s * source_step.
inline constexpr std::uint64_t source_step = 1'000'000'000;

/// What a consumer meets: an item, an error, or the end with what was dropped behind the last item.
struct event {
    std::string text{};
    std::vector<std::uint64_t> ids{};
    penstock::cover cover{};
    std::string source{};
    bool item = false, end = false;
};

/// Shards as the plan has them, and what is wrong with them.
struct shards {
    struct one {
        std::uint64_t planned = 0, there = 0;
        std::vector<std::uint64_t> faulty{};
        std::optional<std::uint64_t> damaged_at{};
        bool missing = false;
    };
    std::vector<one> all{};
    std::uint64_t samples_per_epoch = 0, repeat = 1;
    bool shuffled = false;
    bool in_memory = false;  ///< as many numbers, without shards; permuted if `shuffled`

    std::uint64_t samples() const;
    std::string text() const;
};

struct config {
    struct step {
        std::size_t kind;
        int argument;
    };
    std::uint64_t seed = 0, number = 0, first_epoch = 0, epochs = 2;
    std::uint32_t ranks = 1;
    bool large = false;
    std::vector<shards> sources{};  ///< the first one, and those of the stages that join another, in order
    std::vector<step> steps{};

    static config draw(std::uint64_t seed, std::uint64_t number);
    any_chain make(world w, std::int64_t threads = 1) const;
    std::string text() const;
    std::vector<config> smaller() const;

    bool any(bool traits::*what) const;
    bool goes_on() const { return any(&traits::goes_on); }
    /// Whether an epoch may end before the last pass of a cycle over sources that go on: they begin anew then, as after any reset that skips an epoch.
    bool skips_passes() const;
    /// Whether an epoch holds every position of its sources.
    bool whole() const { return !any(&traits::cuts) && !goes_on(); }
    /// Whether every rank yields as many items as world_max says, where it says it.
    bool level() const;
    bool threads() const;
    /// How many epochs of source s are in one of the chain.
    std::uint64_t times(std::size_t s) const;
    std::uint64_t epoch_length(std::size_t s) const;
    /// What the stages that join source s call it, the last one first. `ordered`: those alone that give it an order of its own.
    std::vector<std::string> branches(std::size_t s, bool ordered) const;
    /// The samples that one rank alone reads in an epoch of the source.
    std::vector<std::uint64_t> ids(std::size_t s, std::uint64_t epoch) const;
    /// Notes in the ledger what the event used up, under the source's name in the chain.
    void commit(ledger& used, event const& e) const;
};

/// At most `most` events; the end is one.
std::vector<event> pull(any_chain& c, std::size_t most = ~std::size_t{0});
/// The same by internal iteration.
std::vector<event> pull_inside(any_chain& c);
void reset(any_chain& c, epoch e);
void reset(any_chain& c, epoch e, ledger const& used);
std::optional<std::uint64_t> world_max(any_chain const& c);
state save(any_chain const& c);
void load(any_chain& c, state const& s);
void load(any_chain& c, state const& s, ledger const& used);

}  // namespace penstock::test
