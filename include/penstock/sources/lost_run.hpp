// Implements: rethrow_lost, the error of a reader over a plan with what it cost; put_cover and get_cover, lost positions in a state.
#pragma once

#include <penstock/core/cover.hpp>            // defines: cover, interval
#include <penstock/core/state.hpp>            // defines: state_writer, state_reader, state_error
#include <penstock/sources/shard_format.hpp>  // defines: lost_samples, stage_error, fault, place
#include <penstock/sources/shard_plan.hpp>    // defines: shard_plan, part

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>

namespace penstock::detail {

/// `lost` samples of one shard, the ids of the first and the last of them; 0: the rest of it, however many that is.
struct lost_run {
    std::string shard{};
    std::uint64_t first = 0, last = 0, lost = 1;
};

/// Throws what is being handled once more, as the error of the stage `who`, with what it cost.
[[noreturn]] inline void rethrow_lost(char const* who, lost_run gone) {
    auto kind = fault::io;
    auto where = place{};
    auto cause = std::string{}, hint = std::string{};
    try {
        throw;
    } catch (stage_error const& e) {
        kind = e.kind;
        where = e.where;
        cause = e.cause;
        hint = e.hint;
    } catch (std::exception const& e) {
        cause = e.what();
        hint = "look at the shard";
    }
    if (where.shard.empty()) where.shard = std::move(gone.shard);
    where.sample = gone.first;
    cause += gone.lost == 0 ? "; the rest of the shard is lost" : gone.lost == 1 ? "; 1 sample is lost" : message("; ", gone.lost, " samples are lost, ids ", gone.first, " to ", gone.last);
    std::throw_with_nested(lost_samples(who, kind, std::move(where), cause, hint, gone.lost));
}

inline void put_cover(state_writer::record& r, cover const& lost) {
    std::size_t n = 0;
    lost.each([&](interval) { ++n; });
    r.put("lost", n);
    n = 0;
    lost.each([&](interval i) {
        auto const k = "lost" + std::to_string(n++);
        r.put(k + 'b', i.begin).put(k + 'e', i.end);
    });
}
inline cover get_cover(state_reader::record const& r, char const* who) {
    auto lost = cover{};
    for (std::size_t i = 0, n = r.get("lost"); i != n; ++i) {
        auto const k = "lost" + std::to_string(i);
        interval const one{r.get(k + 'b'), r.get(k + 'e')};
        if (one.begin >= one.end) throw state_error(message("load: ", who, ": the positions ", one.begin, " to ", one.end, " make no sense\n  HINT: the state is damaged; use an older checkpoint"));
        lost.add(one);
    }
    return lost;
}

/// A reader over a plan without a single sample is refused: no epoch of it would end.
inline void refuse_no_samples(shard_plan const& plan, char const* who) {
    if (plan.samples() != 0) return;
    if (plan.choice().which() != part::all)
        throw config_error(message(who, ": ", plan.chosen_text(), " of ", plan.shards(), " shards holds no sample: ", plan.names().shown(), "\n  HINT: hold out another share, or read more shards"));
    throw config_error(message(who, ": a data set needs at least one sample, but ", plan.shards(), " shards hold none: ", plan.names().shown(), "\n  HINT: look at how the shards were written"));
}

}  // namespace penstock::detail
