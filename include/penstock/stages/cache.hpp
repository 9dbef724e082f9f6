// Implements: cache({.items}), items made in the first pass and served from memory in every later one.
#pragma once

#include <penstock/core/ask.hpp>     // defines: asks::returns_number
#include <penstock/core/gather.hpp>  // defines: can_copy
#include <penstock/core/replay.hpp>  // defines: replay, tally, is_batch, is_keyed
#include <penstock/core/stage.hpp>   // defines: stage, stage_over, epoch, size_hint, config_error, broken_chain

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <exception>
#include <iterator>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock {

struct cache_options {
    std::uint64_t items = 0;  ///< at most so many items are kept; 0: no such limit
    std::uint64_t bytes = 0;  ///< at most so many bytes; 0: no such limit. One of the two must be given
};

/// What an item occupies, as far as its type tells: itself, and the elements of a contiguous container.
struct bytes_of {
    template <class T>
    static constexpr bool known = std::is_trivially_copyable_v<T> || requires(T const& t) { requires std::is_trivially_copyable_v<std::remove_cvref_t<decltype(*std::data(t))>>; std::size(t); };

    template <class T>
    std::uint64_t operator()(T const& item) const
        requires known<T>
    {
        if constexpr (std::is_trivially_copyable_v<T>) return sizeof(T);
        else return sizeof(T) + std::size(item) * sizeof(*std::data(item));
    }
};

namespace detail {

/// The outcomes of pulling from S: a failure is an item as well, which can be kept and met again in every epoch.
template <class S>
class outcome_stage : public stage_over<S> {
public:
    using stateless = void;
    struct item_type {
        std::optional<typename S::item_type> item;
        std::exception_ptr failure;
    };
    explicit outcome_stage(S before) : stage_over<S>(std::move(before)) {}

    std::optional<item_type> next() {
        try {
            auto item = this->up.next();
            if (!item) return std::nullopt;
            return item_type{std::move(item), {}};
        } catch (...) {
            return item_type{{}, std::current_exception()};
        }
    }
};

}  // namespace detail

/// Holds the outcomes of the first pulls of epoch 0 of the stages before, and where in them this epoch stands: what is not there yet is pulled, kept and delivered.
/// The stages before only ever run their epoch 0, under the seed at hand, so what is delivered depends neither on how far an earlier epoch got nor on loads.
template <class S, class Size>
class [[nodiscard]] cache_stage : public stage_over<detail::outcome_stage<S>> {
    using base = stage_over<detail::outcome_stage<S>>;
    using outcome = typename detail::outcome_stage<S>::item_type;

public:
    using item_type = typename S::item_type;
    cache_stage(S before, cache_options o, Size size) : base(detail::outcome_stage<S>(std::move(before))), options_(o), size_(std::move(size)), replay_("cache", never) {
        refuse_unordered(facts_of(this->up), "cache");
    }

    std::optional<item_type> next() {
        if (at_ == kept_.size() && !pull()) return std::nullopt;
        auto const& one = kept_[at_++];
        if (one.failure) std::rethrow_exception(one.failure);
        return one.item;
    }
    bool discard() {
        if (at_ == kept_.size() && !pull()) return false;
        ++at_;
        return true;
    }
    void reset(epoch e) {
        refuse_recut(e, "cache", "leave the stage out");
        at_ = 0;
        if constexpr (resettable<S>) {
            if (filled_from_ && filled_from_->first == e.seed && filled_from_->second == e.key) return;
            forget();
            filled_from_.emplace(e.seed, e.key);
            this->up.reset({e.seed, 0, e.key, e.line});
            replay_.reset();
        }
    }
    size_hint hint() const {
        auto const here = kept_.size() - at_;
        if (ended_) return {here - (std::min)(here, std::size_t{failures_}), here};
        return {0, hint_of(this->up).plus(here).upper};
    }
    void save(state_writer& w) const
        requires resumable<S>
    {
        replay_.save(w, this->up, {kept_.size(), 0});
        w.stage("cache", 1).put("at", at_).put("filled", kept_.size()).put("failures", failures_).put("items", options_.items).put("bytes", options_.bytes);
    }
    void load(state_reader& r)
        requires resumable<S>
    {
        forget();
        replay_.load(r, this->up);
        auto const record = r.stage("cache", 1);
        if (record.get("items") != options_.items || record.get("bytes") != options_.bytes)
            throw state_error(message("load: cache: saved with limits of ", record.get("items"), " items and ", record.get("bytes"), " bytes, this one has ", options_.items, " and ", options_.bytes,
                                      "\n  HINT: build it with the limits that were saved"));
        auto const at = record.get("at");
        if (at > record.get("filled")) throw state_error(message("load: cache: position ", at, " of ", record.get("filled"), "\n  HINT: the state is damaged; use an older checkpoint"));
        replay_.repeat(this->up, [](std::uint64_t) { return true; }, [this](std::uint64_t, outcome&& one) { keep(std::move(one)); });
        if (failures_ != record.get("failures"))
            throw state_error(message("load: cache: ", record.get("failures"), " of ", kept_.size(), " items had failed when the state was saved, ", failures_,
                                      " fail now\n  HINT: the data, or the reading of it, changed since; restore it, or start the epoch again"));
        at_ = static_cast<std::size_t>(at);
    }
    void stats(stats_report& r) const {
        collect_stats(this->up, r);
        r.push_back({.name = "cache", .bytes = used_, .errors = failures_, .held = kept_.size()});
    }

private:
    static constexpr auto never = (std::numeric_limits<std::uint64_t>::max)();  // the state at the start is the only one that is needed

    bool pull() {
        if (ended_) return false;
        auto one = replay_.pull(this->up);
        if (one) keep(std::move(*one));
        else ended_ = true;
        return !ended_;
    }
    void keep(outcome&& one) {
        if (one.item) {
            if constexpr (is_batch<item_type>)
                if (!one.item->cover.empty() || !one.item->ids.empty()) one = {{}, refused("batches of samples from shards stand for other positions in every pass, which a cache cannot renew", "put the decoded samples into shards once, with write_tar")};
        }
        if (one.item) {
            auto const bytes = options_.bytes == 0 ? 0 : static_cast<std::uint64_t>(size_(*one.item));
            if (options_.items != 0 && kept_.size() >= options_.items) one = {{}, too_many("items", options_.items)};
            else if (options_.bytes != 0 && bytes > options_.bytes - used_) one = {{}, too_many("bytes", options_.bytes)};
            else used_ += bytes;
        }
        failures_ += one.failure != nullptr;
        kept_.push_back(std::move(one));
    }
    std::exception_ptr too_many(char const* what, std::uint64_t limit) {
        if (!full_) full_ = refused(message("the items do not fit: the limit is ", limit, ' ', what, ", reached after ", kept_.size(), " items"), "raise the limit if the memory is there, or leave the cache out");
        return full_;  // one for all: they say the same, and there may be many
    }
    static std::exception_ptr refused(std::string_view cause, std::string_view hint) { return std::make_exception_ptr(stage_error("cache", fault::content, {}, cause, hint)); }
    void forget() {
        kept_.clear();
        full_ = nullptr;
        at_ = 0;
        used_ = failures_ = 0;
        ended_ = false;
    }

    cache_options options_;
    Size size_;
    replay<detail::outcome_stage<S>> replay_;
    std::vector<outcome> kept_;
    std::size_t at_ = 0;
    std::uint64_t used_ = 0, failures_ = 0;
    std::exception_ptr full_;
    bool ended_ = false;
    std::optional<std::pair<std::uint64_t, std::uint64_t>> filled_from_;  // seed and key
};

/// Keeps what the stages before yield and serves copies of it in every later epoch: decoding, say, is then paid once. Every epoch has the items of epoch 0,
/// in its order; shuffle behind it. An item that failed fails in every epoch. bytes(item) says what an item occupies, where its type does not.
///
/// Order    that of epoch 0, in every epoch
/// Buffers  all items, up to the limits
/// Resume   exact; the memory is filled again when a state is loaded, by one pass over the items kept so far
/// Threads  none
/// Errors   stage_error for each item beyond the limits; config_error without a limit, or with one of bytes where nobody says what an item occupies.
///          Samples from shards are refused, as each pass over them has positions of its own, by which a run resumes in another world
///
///     range(3) | map(slow_square) | cache({.items = 100})    // 0 1 4, from the second epoch on without a call
template <class Size = bytes_of>
auto cache(cache_options options, Size bytes = {}) {
    if (options.items == 0 && options.bytes == 0) throw config_error("cache(options): items or bytes must say how much may be kept, got neither\n  HINT: such as {.items = 100'000}, or {.bytes = 4'000'000'000}");
    return stage("cache", [options, bytes = std::move(bytes)]<class S>(S input) mutable {
        using item_type = typename S::item_type;
        constexpr bool plain = !is_keyed<item_type>;
        static_assert(plain, "cache(options): samples from shards stand for other positions in every pass, which a cache cannot renew. HINT: put the decoded samples into shards once, with write_tar");
        constexpr bool copies = can_copy<item_type>;
        static_assert(copies || !plain, "cache(options): the items cannot be copied, so they can be delivered only once. HINT: leave it out");
        if constexpr (!plain || !copies) return broken_chain{};
        else if constexpr (std::is_same_v<Size, bytes_of> && !std::invocable<Size&, item_type const&>) {
            if (options.bytes != 0)
                throw config_error(message("cache(options): the size of these items is not known, got a limit of ", options.bytes, " bytes\n  HINT: say what one occupies: cache({...}, [](auto const& item) { return ...; })"));
            auto const unknown = [](item_type const&) { return std::uint64_t{0}; };
            return cache_stage<S, decltype(unknown)>(std::move(input), options, unknown);
        }
        else if constexpr (!asks::returns_number<"cache", item_type const, Size>()) return broken_chain{};
        else return cache_stage<S, Size>(std::move(input), options, std::move(bytes));
    });
}

}  // namespace penstock
