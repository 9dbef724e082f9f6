// Implements: signs of life of the ranks, and who is to blame when a collective operation fails. std only: no threads, no store.
#pragma once

#include <penstock/core/errors.hpp>  // defines: error, message

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iomanip>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace penstock::dist {

/// What a rank says of itself about twice a second.
struct beat {
    std::uint64_t seq = 0;         ///< grows with every beat: a stopped process repeats its last one
    std::uint64_t step = 0;        ///< optimizer step it works on
    std::uint64_t ops = 0;         ///< collective operations begun
    bool collective = false;       ///< it waits for the other ranks, so it is not the one that is late
    bool left = false;             ///< it said good-bye: no further beat will come
    std::int64_t in_phase_ms = 0;  ///< how long it has been in `phase`
    std::string phase{};           ///< reads after "it": "waits for data", "computes", "saves a checkpoint"

    std::string text() const {
        return message(seq, ' ', step, ' ', ops, ' ', collective, ' ', left, ' ', in_phase_ms, ' ', phase);
    }
    static beat parse(std::string const& text) {
        beat b;
        std::istringstream in(text);
        in >> b.seq >> b.step >> b.ops >> b.collective >> b.left >> b.in_phase_ms;
        in.get();
        std::getline(in, b.phase);
        return b;
    }
};

/// Whose failure ended the run, as a sentence. It travels through the store as "<rank> <sentence>"; rank -1 is nobody in particular.
struct verdict {
    int rank = -1;
    std::string sentence{};

    std::string text() const { return message(rank, ' ', sentence); }
    static verdict parse(std::string const& text) {
        verdict v;
        std::istringstream in(text);
        in >> v.rank;
        in.get();
        v.sentence.assign(std::istreambuf_iterator<char>(in), {});
        return v;
    }
};

/// Another rank failed, and this one stops because of it; `rank` is the one to look at, -1 if nobody could be named.
struct peer_error : error {
    explicit peer_error(verdict const& v) : error(v.sentence), rank(v.rank) {}
    int rank;
};

/// "was killed by signal 9 (SIGKILL)" or "ended with exit code 7", from waitpid's status.
inline std::string how_it_died(int exit_code, int signal) {
    if (signal == 0) return message("ended with exit code ", exit_code);
    char const* name = ::sigabbrev_np(signal);
    return message("was killed by signal ", signal, name ? message(" (SIG", name, ')') : std::string());
}

/// The last beat of every rank, and when it was seen to change.
class peer_table {
public:
    using clock = std::chrono::steady_clock;
    using milliseconds = std::chrono::milliseconds;

    peer_table(int self, int world) : self_(self), peers_(static_cast<std::size_t>(world)) {}

    void update(int rank, beat b, clock::time_point now) {
        auto& p = peers_[static_cast<std::size_t>(rank)];
        if (!p.known || b.seq != p.last.seq) p.changed = now;
        p.seen = now;
        p.known = true;
        p.last = std::move(b);
    }

    /// The rank that has been silent longest, if that is at least `limit`. Silence is measured between reads of the store:
    /// a store that does not answer, or a pause of this process, is not held against a peer.
    std::optional<verdict> silent(milliseconds limit) const {
        auto const* worst = static_cast<peer const*>(nullptr);
        for (auto const& p : peers_)
            if (is_peer(p) && !p.last.left && p.seen - p.changed >= limit && (!worst || p.changed < worst->changed)) worst = &p;
        if (!worst) return std::nullopt;
        return verdict{rank_of(*worst), message("rank ", rank_of(*worst), " does not answer: last sign of life ", seconds(worst->seen - worst->changed), " ago, at step ",
                                                worst->last.step, ", it ", worst->last.phase)};
    }

    /// The rank the others wait for: alive, but not in a collective operation, or behind in them. Of several, the one with the
    /// fewest operations and steps, then the one longest in its phase. Who is not at least `least` in its phase is not late.
    std::optional<verdict> late(std::uint64_t own_ops, clock::time_point now, milliseconds least = milliseconds(0)) const {
        auto const* worst = static_cast<peer const*>(nullptr);
        auto key = [&](peer const& p) { return std::tuple(!p.last.left, p.last.collective, p.last.ops, p.last.step, -in_phase(p, now).count()); };
        for (auto const& p : peers_)
            if (is_peer(p) && in_phase(p, now) >= least && (p.last.left || !p.last.collective || p.last.ops < own_ops) && (!worst || key(p) < key(*worst))) worst = &p;
        if (!worst) return std::nullopt;
        auto const& b = worst->last;
        if (b.left) return verdict{rank_of(*worst), message("rank ", rank_of(*worst), " has ended its run at step ", b.step, ", while others wait for it")};
        return verdict{rank_of(*worst), message("rank ", rank_of(*worst), " is late: alive, but at step ", b.step, " it ", b.phase, " for ", seconds(in_phase(*worst, now)))};
    }

    /// One line of every rank's state, for the case that nobody can be named.
    std::string states(clock::time_point now) const {
        std::ostringstream out;
        for (auto const& p : peers_) {
            if (!is_peer(p)) continue;
            if (rank_of(p) > 16) { out << " ..."; break; }
            out << (out.tellp() > 0 ? "; " : "") << "rank " << rank_of(p) << " at step " << p.last.step << ' ' << p.last.phase << " for " << seconds(in_phase(p, now));
        }
        return std::move(out).str();
    }

    static std::string seconds(clock::duration d) {
        std::ostringstream out;
        out << std::fixed << std::setprecision(1) << std::chrono::duration<double>(d).count() << " s";
        return std::move(out).str();
    }

private:
    struct peer {
        beat last{};
        clock::time_point changed{}, seen{};
        bool known = false;
    };
    int rank_of(peer const& p) const { return static_cast<int>(&p - peers_.data()); }
    bool is_peer(peer const& p) const { return p.known && rank_of(p) != self_; }
    static clock::duration in_phase(peer const& p, clock::time_point now) { return milliseconds(p.last.in_phase_ms) + (now - p.changed); }

    int self_;
    std::vector<peer> peers_;
};

}  // namespace penstock::dist
