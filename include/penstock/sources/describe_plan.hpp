// Implements: describe_plan, what each rank reads in an epoch, as one line per rank.
#pragma once

#include <penstock/core/describe.hpp>  // defines: grouped
#include <penstock/core/epoch.hpp>     // defines: epoch
#include <penstock/core/errors.hpp>    // defines: config_error, message
#include <penstock/sources/line.hpp>   // defines: line, line_run, cut, total, shard_plan

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock {

namespace detail {

/// f(rank) -> text of its line, for all ranks, or for the first and the last few of many.
template <class F>
std::string lines_of_ranks(std::uint32_t ranks, std::size_t most, F f) {
    auto text = std::string{};
    auto const width = std::to_string(ranks - 1).size();
    auto const row = [&](std::uint32_t r) { text += "rank " + padded(std::to_string(r), width) + ": " + f(r) + '\n'; };
    auto const head = static_cast<std::uint32_t>((std::min)(std::size_t{ranks}, ranks <= most ? most : (most + 1) / 2));
    auto const tail = static_cast<std::uint32_t>((std::min)(std::size_t{ranks - head}, ranks <= most ? 0 : most / 2));
    for (std::uint32_t r = 0; r != head; ++r) row(r);
    if (head + tail != ranks) text += "... " + grouped(ranks - head - tail) + " more\n";
    for (auto r = ranks - tail; r != ranks; ++r) row(r);
    return text;
}
inline std::string counted(std::uint64_t n, std::string const& what) { return grouped(n) + ' ' + what + (n == 1 ? "" : "s"); }

/// "epoch 3: 120 samples (the val part (hold_out 0.1)) from 8 shards on 3 ranks, 40 each" or "..., 40 or 41 each".
inline std::string heading_of_plan(shard_plan const& p, std::uint64_t epoch_index, std::uint64_t all) {
    auto const ranks = std::uint64_t{p.part().size};
    auto text = message("epoch ", epoch_index, ": ", counted(all, "sample"));
    if (p.choice().which() != part::all) text += " of " + p.chosen_text();
    text += " from " + counted(p.shards(), "shard") + " on " + counted(ranks, "rank") + ", " + grouped(all / ranks);
    if (all % ranks != 0) text += " or " + grouped(all / ranks + 1);
    return text + " each\n";
}

/// One rank's runs of an epoch, whose positions over all ranks are `segments`.
inline std::string describe_rank(line& l, std::uint64_t key, std::span<interval const> segments, world w) {
    auto const& p = l.plan();
    auto const mine = cut(segments, w);
    if (mine.empty()) return "no sample";
    std::uint64_t runs = 0, whole = 0;
    auto first = line_run{}, last = line_run{};
    for (auto const s : mine)
        for (auto at = s.begin; at != s.end;) {
            auto run = l.find(key, at);
            run.length = (std::min)(run.length, s.end - at);
            at += run.length;
            whole += run.length == p.chosen(run.shard);
            if (runs++ == 0) first = run;
            last = run;
        }
    auto const where = [&](line_run const& run) {
        auto const path = p.names()[run.shard];
        auto text = path.substr(path.rfind('/') + 1);
        auto some = p.chosen_of(run.shard);
        if (run.length != p.chosen(run.shard)) text += message(" samples ", some.at(run.sample), " to ", some.at(run.sample + run.length - 1));
        return text;
    };
    auto text = counted(total(mine), "sample") + " of " + counted(runs, "shard");
    if (runs != 1) text += ", " + grouped(whole) + " whole";
    text += ": " + where(first);
    if (runs > 1) text += (runs == 2 ? ", " : " ... ") + where(last);
    return text;
}

inline std::string describe_epoch(line l, std::uint64_t key, std::uint64_t epoch_index, std::span<interval const> segments, std::size_t most_ranks) {
    auto const size = l.plan().part().size;
    return heading_of_plan(l.plan(), epoch_index, total(segments)) +
           lines_of_ranks(size, most_ranks, [&](std::uint32_t r) { return describe_rank(l, key, segments, {r, size}); });
}

template <class S>
consteval bool shows_plan() {
    if constexpr (requires(S const& s) { s.describe_plan(std::size_t{}); }) return true;
    else if constexpr (requires(S& s) { s.up; }) return shows_plan<std::remove_cvref_t<decltype(std::declval<S&>().up)>>();
    else return false;
}
template <class S>
std::string find_plan(S const& s, std::size_t most_ranks) {
    if constexpr (requires { s.describe_plan(most_ranks); }) return s.describe_plan(most_ranks);
    else return find_plan(s.up, most_ranks);
}

}  // namespace detail

/// What each rank reads in the epoch the chain `p` was reset to, after what a ledger took out of it:
///
///     epoch 0: 24 samples from 3 shards on 2 ranks, 12 each
///     rank 0: 12 samples of 2 shards, 1 whole: s1.tar, s2.tar samples 0 to 1
///     rank 1: 12 samples of 2 shards, 1 whole: s2.tar samples 2 to 9, s0.tar
///
/// Only the first and the last ranks of more than `most_ranks`. Costs about 100 ns per shard of the ranks it shows.
template <class P>
    requires requires(P const& p) { p.inner(); }
std::string describe_plan(P const& p, std::size_t most_ranks = 32) {
    using inner = std::remove_cvref_t<decltype(p.inner())>;
    constexpr bool ok = detail::shows_plan<inner>();
    static_assert(ok, "describe_plan(p) finds no reader over shards before this chain. HINT: give it a chain that begins with shard_list(...) | read_tar(), before it goes through interleave, prefetch or any_pipeline");
    if constexpr (ok) return detail::find_plan(p.inner(), most_ranks);
    else return {};
}
/// The same of a plan whose counts are known.
inline std::string describe_plan(shard_plan const& plan, epoch e = {}, std::size_t most_ranks = 32) {
    if (!plan.counted())
        throw config_error(message("describe_plan(", plan.names().shown(), "): the number of samples of the shards is not known\n  HINT: give counts to shard_list, or ask the chain with its reader"));
    if (plan.samples() == 0) return detail::heading_of_plan(plan, e.index, 0);
    auto l = line(plan);
    auto const window = l.window(e.index);
    return detail::describe_epoch(std::move(l), e.line, e.index, std::span(&window, 1), most_ranks);
}

}  // namespace penstock
