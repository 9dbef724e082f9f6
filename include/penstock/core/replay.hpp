// Implements: replay, the one way a stage holds items or reads ahead and is resumed exactly without saving a payload.
#pragma once

#include <penstock/core/batch_type.hpp>  // defines: is_batch
#include <penstock/core/errors.hpp>      // defines: config_error, state_error, message
#include <penstock/core/facts.hpp>       // defines: chain_facts, facts_of
#include <penstock/core/keyed.hpp>       // defines: is_keyed
#include <penstock/core/snapshots.hpp>   // defines: snapshots
#include <penstock/core/source.hpp>      // defines: source, resumable, discard, for_each_n, write_back

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock {

/// What a stage holds, order apart: how many items, and a sum over their identities. Items without an id only count.
struct tally {
    std::uint64_t count = 0;
    std::uint64_t hash = 0;

    template <class Item>
    void add(Item const& item) {
        ++count;
        hash += mark_of(item);
    }
    template <class Item>
    void remove(Item const& item) {
        --count;
        hash -= mark_of(item);
    }
    /// What add() adds to the hash for an item of that id, and for any item.
    static constexpr std::uint64_t mark(std::uint64_t id) { return mix64(id); }
    template <class Item>
    static std::uint64_t mark_of([[maybe_unused]] Item const& item) {
        if constexpr (is_keyed<Item>) return mark(item.id);
        else if constexpr (is_batch<Item>) return item.ids.empty() ? 0 : mark(item.ids.front());
        else return 0;
    }

    friend bool operator==(tally const&, tally const&) = default;
};

/// For a stage that finds what it holds again by the numbers of its pulls.
inline void refuse_unordered(chain_facts const& before, std::string_view stage) {
    if (before.unordered)
        throw config_error(message(stage, ": what it holds is pulled again after a load, and must come in the same order then, got parallel_map({.ordered = false}) before it"
                                   "\n  HINT: leave .ordered = true, or put parallel_map behind ", stage));
}

/// What the consumer of a stage knows of the end of the stage before it.
enum class end_of_input {
    ahead,  ///< nothing yet
    met,    ///< it was there
    told,   ///< and what was dropped before it was handed out by trailing()
};

/// The mutex of a stage that is used by one thread.
struct no_mutex {
    void lock() {}
    void unlock() {}
};

/// Pulls for a stage that holds items, and brings the held ones back after a load by pulling them again.
///
/// Pulls are numbered from 0 in each epoch; a pull that throws has a number too. Before every `every`th pull the state of the stage before is
/// saved, on the pulling thread; snapshots that no held item needs are dropped. save() writes the newest snapshot that is not younger than the
/// oldest held item *instead of* the live state, then how far to pull again. What is pulled again is compared: items that are held by
/// their ids, failures by their numbers. If the end had been met it is met again. Items that are only passed over are discarded unmade, so nothing is known of them but that they exist.
///
/// A stage pulls through it, calls release(oldest) as items leave, and resets, saves and loads it beside its own numbers:
///
///     save: replay_.save(w, up, held_); w.stage("shuffle", 1)...
///     load: replay_.load(r, up); ... = r.stage("shuffle", 1)...; replay_.repeat(up, wanted, keep);
///
/// Over a stage that cannot be saved it only counts. With Mutex = std::mutex one thread may pull while another calls release and save:
/// the live state is then written only before the first pull, so that thread must not be started before the consumer asks for an item,
/// and must be stopped before reset and load. Pulling never holds the mutex while the stage before works.
template <source S, class Mutex = no_mutex>
class replay {
    static constexpr bool one_thread = std::is_same_v<Mutex, no_mutex>;
    static constexpr std::size_t listed_errors = 16;  // more are counted only, so that the state stays small

public:
    using item_type = typename S::item_type;

    /// `stage` is for the record and for messages.
    /// `repeats`: items that are pulled again are the same as before, in the same order.
    replay(std::string_view stage, std::uint64_t every, bool repeats = true) : stage_(stage), every_(every), repeats_(repeats) {}

    /// Pulls of this epoch so far; the next pull has this number. To be asked by the pulling thread.
    std::uint64_t pulls() const { return pulls_; }

    std::optional<item_type> pull(S& up) {
        snapshot_if_due(up);
        try {
            auto item = up.next();
            if (item) ++pulls_;
            else meet_end(up);
            return item;
        } catch (...) {
            failed(pulls_++);
            throw;
        }
    }

    /// Takes the snapshot that the next pull would take first. A stage that calls this after each pull, before the item is seen by the consumer,
    /// saves states that depend on what was delivered alone, not on how far ahead its pulling thread is.
    void settle(S& up) { snapshot_if_due(up); }

    /// Hands the next n items to f; true if there were fewer. An item that f throws for is a pull that failed.
    template <class F>
    bool pull_n(S& up, std::uint64_t n, F& f) {
        while (n != 0) {
            snapshot_if_due(up);
            auto const run = (std::min)(n, due_ - pulls_);  // none of them needs a snapshot
            auto at = pulls_;
            write_back on_exit{pulls_, at};
            auto g = [&](item_type&& item) {
                f(std::move(item));
                ++at;
            };
            try {
                if (penstock::for_each_n(up, run, g)) {
                    meet_end(up);
                    return true;
                }
            } catch (...) {
                failed(at++);
                throw;
            }
            n -= run;
        }
        return false;
    }

    /// Whether the stage before has ended, as a pull of this epoch found. To be asked by the pulling thread.
    bool ended() const { return ended_; }
    /// What load() read of the end.
    end_of_input end() const { return end_; }
    /// The positions behind the last item of the stage before, for trailing() of a stage that one thread uses: what was handed out is not told again after a
    /// load. None where the end was not met: who cuts the epoch off there takes no account of them, and items that are pulled again would give them again.
    cover trailing(S& up)
        requires one_thread
    {
        if (!ended_) return {};
        told_ = true;
        return penstock::trailing(up);
    }

    /// Items of pulls before `oldest` are not held any more.
    void release(std::uint64_t oldest) {
        if constexpr (resumable<S>) {
            std::lock_guard guard(mutex_);
            oldest_ = oldest;
        }
    }

    /// A new epoch of the stage before begins.
    void reset() {
        std::lock_guard guard(mutex_);
        pulls_ = oldest_ = 0;
        due_ = resumable<S> ? 0 : never;
        taken_.clear();
        ended_ = told_ = end_kept_ = false;
        errors_.clear();
    }

    /// Writes where to start pulling again, up to the next pull, and what will be held then.
    void save(state_writer& w, S const& up, tally held) const
        requires(resumable<S> && one_thread)
    {
        if (held.count != 0 && facts_of(up).unordered) refuse_to_save();
        save(w, up, pulls_, told_ ? end_of_input::told : ended_ ? end_of_input::met : end_of_input::ahead, held);
    }
    /// The same up to pull `upto`, behind which `end` is what the consumer knows of the end.
    void save(state_writer& w, S const& up, std::uint64_t upto, end_of_input end, tally held = {}) const
        requires resumable<S>
    {
        std::lock_guard guard(mutex_);
        auto from = upto;
        if (taken_.empty() || (one_thread && upto == pulls_ && (oldest_ == pulls_ || held.count == 0))) up.save(w);  // nothing is to be pulled again
        else {
            auto const& s = taken_.newest_for(oldest_);
            from = s.at;
            if (!repeats_ && (from != upto || (end != end_of_input::ahead && !end_kept_))) refuse_to_save();
            w.append(s.where);
        }
        auto record = w.stage(stage_ + ".replay", 2);
        record.put("from", from).put("pulls", upto).put("end", static_cast<std::uint64_t>(end)).put("held", held.count).put("hash", held.hash);
        auto const first = std::lower_bound(errors_.begin(), errors_.end(), from), last = std::lower_bound(first, errors_.end(), upto);
        auto const count = static_cast<std::size_t>(last - first);
        record.put("errors", count);
        for (std::size_t i = 0; i != (std::min)(count, listed_errors); ++i) record.put("error" + std::to_string(i), first[static_cast<std::ptrdiff_t>(i)]);
    }

    /// Loads the stage before and what save() wrote; repeat() must follow once the stage has read its own numbers.
    void load(state_reader& r, S& up)
        requires resumable<S>
    {
        up.load(r);
        auto const record = r.stage(stage_ + ".replay", 2);
        reset();
        pulls_ = oldest_ = due_ = record.get("from");
        upto_ = record.get("pulls");
        end_ = static_cast<end_of_input>(record.get("end"));
        expected_ = {record.get("held"), record.get("hash")};
        error_count_ = record.get("errors");
        for (std::size_t i = 0; i != (std::min<std::uint64_t>)(error_count_, listed_errors); ++i) errors_.push_back(record.get("error" + std::to_string(i)));
        if (pulls_ > upto_ || expected_.count > upto_ - pulls_)
            throw state_error(message("load: ", stage_, ".replay: cannot pull from ", pulls_, " to ", upto_, " and hold ", expected_.count, "\n  HINT: the state is damaged; use an older checkpoint"));
    }

    /// Pulls again: keep(number, item) for every pull that wanted(number) and did not fail; the others are discarded, unmade unless they failed.
    template <class Wanted, class Keep>
    void repeat(S& up, Wanted wanted, Keep keep)
        requires resumable<S>
    {
        tally seen;
        auto const last_listed = errors_.empty() ? 0 : errors_.back();
        while (pulls_ != upto_) {
            auto const number = pulls_;
            auto const listed = std::binary_search(errors_.begin(), errors_.end(), number);
            bool const held = wanted(number);
            // What failed is tried again although nothing of it is held: a source gives the positions it lost to the item behind, which may be.
            bool const make = held || listed || (error_count_ > listed_errors && number > last_listed);
            std::optional<item_type> item;
            bool got = true;
            try {
                if (make) got = (item = pull(up)).has_value();
                else {
                    snapshot_if_due(up);
                    got = penstock::discard(up);
                    if (got) ++pulls_;
                }
            } catch (...) {
                if (pulls_ == number) failed(pulls_++);
                if (!listed && error_count_ <= listed_errors)
                    std::throw_with_nested(state_error(message(at(number), "it delivered an item when the state was saved, and fails now: ", cause(), hint)));
                continue;
            }
            if (!got) throw state_error(message(at(number), "the data ends here, but ", upto_, " pulls had been made when the state was saved", hint));
            if (!make) continue;
            if (listed) throw state_error(message(at(number), "it failed when the state was saved, and delivers ", name(*item), " now", hint));
            if (!held) continue;
            seen.add(*item);
            keep(number, std::move(*item));
        }
        if (end_ != end_of_input::ahead) {  // what stands before may change its own position with the end, as a mix does with turns that are vacant here
            if (auto const item = pull(up)) throw state_error(message(at(pulls_ - 1), "the data ended here when the state was saved, and goes on with ", name(*item), " now", hint));
            if (end_ == end_of_input::told) {
                (void)penstock::trailing(up);
                told_ = true;
            }
        }
        if (seen != expected_)
            throw state_error(message("load: ", stage_, ": the ", seen.count, " items pulled again are not the ", expected_.count, " held when the state was saved", hint));
    }

private:
    static constexpr auto never = ~std::uint64_t{0};
    static constexpr auto hint = "\n  HINT: the data, or the reading of it, changed since; restore it, or start the epoch again";

    std::string at(std::uint64_t number) const { return message("load: ", stage_, ": pull ", number, " of the stage before: "); }
    static std::string cause() {
        try {
            throw;
        } catch (std::exception const& e) {
            return e.what();
        } catch (...) {
            return "an exception that is no std::exception";
        }
    }
    static std::string name(item_type const& item) {
        if constexpr (is_keyed<item_type>) return message("sample '", item.key, "' (id ", item.id, ")");
        else return "an item";
    }

    void snapshot_if_due(S& up) {
        if constexpr (resumable<S>)
            if (pulls_ == due_) [[unlikely]] take_snapshot(up);
    }
    void meet_end(S& up) {
        if constexpr (resumable<S>)
            if (!ended_ && !repeats_) end_kept_ = take_snapshot(up);  // with the end in it: to find it again, items would be pulled that are others then
        ended_ = true;
    }
    [[gnu::noinline]] bool take_snapshot(S& up)  // out of line: the pull around it stays small
        requires resumable<S>
    {
        auto w = taken_.begin();
        try {
            up.save(w);  // the stage before may only be touched here, on the pulling thread
        } catch (state_error const&) {  // it cannot be saved as it stands: the next pull tries again, and until then a save is from further back, or refused
            if (taken_.empty()) throw;
            due_ = pulls_ + 1;
            return false;
        }
        std::lock_guard guard(mutex_);
        auto const first = taken_.keep(pulls_, oldest_);
        errors_.erase(errors_.begin(), std::lower_bound(errors_.begin(), errors_.end(), first));
        due_ = pulls_ + every_;
        return true;
    }
    [[noreturn]] void refuse_to_save() const {
        throw state_error(message("save: ", stage_, " would have to pull again what an exception interrupted, and parallel_map({.ordered = false}) before it would give other items then"
                                  "\n  HINT: save after the next item, put on_error before ", stage_, ", or leave .ordered = true"));
    }
    void failed(std::uint64_t number) {
        if constexpr (resumable<S>) {
            std::lock_guard guard(mutex_);
            if (errors_.empty() || errors_.back() < number) errors_.push_back(number);
        }
    }

    std::string stage_;
    std::uint64_t every_;
    bool repeats_;
    std::uint64_t pulls_ = 0, due_ = resumable<S> ? 0 : never;  // of the pulling thread; the rest is guarded
    bool ended_ = false;                // of the pulling thread
    bool told_ = false;                 // what trailing() hands out was
    bool end_kept_ = false;             // the newest snapshot was taken behind the end
    mutable Mutex mutex_;
    std::uint64_t oldest_ = 0;
    snapshots taken_;                    // begin() is called without the mutex, by the pulling thread
    std::vector<std::uint64_t> errors_;  // numbers of failed pulls since the oldest snapshot, ascending
    std::uint64_t upto_ = 0, error_count_ = 0;
    tally expected_;
    end_of_input end_ = end_of_input::ahead;  // as load() read it
};

}  // namespace penstock
