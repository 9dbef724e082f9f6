// Implements: shard_format, what a planned_reader asks of a format; lost_samples, the error it throws; stopper, which ends its waiting.
#pragma once

#include <penstock/core/errors.hpp>  // defines: stage_error, fault, place

#include <concepts>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace penstock {

/// An opened shard. next() and discard() end (empty, false) after the last sample; an error either passes one sample, and then index()
/// has moved and the next call goes on behind it, or it is the end of what can be read, and index() has not moved. discard() should fail
/// where next() would, as far as it can tell without reading payloads; skip() passes faulty samples silently.
template <class S, class V>
concept open_shard = requires(S& s, S const& c, std::uint64_t n) {
    { s.next() } -> std::same_as<std::optional<V>>;
    { s.discard() } -> std::same_as<bool>;
    { s.skip(n) } -> std::same_as<std::uint64_t>;  ///< passes up to n samples, returns how many
    { c.index() } -> std::convertible_to<std::uint64_t>;  ///< samples passed
    { s.cancel() } noexcept;                        ///< from any thread: a read that waits fails, and so does every later one
};

/// What open() of a format is told where nobody knows how many samples a shard has.
inline constexpr std::uint64_t any_number_of_samples = (std::numeric_limits<std::uint64_t>::max)();

/// What makes a planned_reader of a format: how a shard is opened, and what to tell about a value.
template <class F>
concept shard_format = std::move_constructible<F> && requires(F& f, typename F::value_type const& v, std::string const& path, std::uint64_t samples) {
    { F::stage } -> std::convertible_to<char const*>;
    { *f.open(path, samples) } -> open_shard<typename F::value_type>;  ///< a shared_ptr; `samples` is what the plan says it holds
    { f.key(v) } -> std::convertible_to<std::string>;
    { f.bytes(v) } -> std::convertible_to<std::uint64_t>;
};

/// Samples that were planned for this rank and cannot be delivered. The failure itself is nested.
struct lost_samples : stage_error {
    lost_samples(std::string_view stage_name, fault kind_of, place at, std::string_view because, std::string_view way_out, std::uint64_t how_many)
        : stage_error(stage_name, kind_of, std::move(at), because, way_out) {
        lost = how_many;
    }
};

namespace detail {

/// What a format has to say of its shards so far, for stats; most say nothing.
template <class F>
std::string note_of(F const& format) {
    if constexpr (requires { format.note(); }) return format.note();
    else return {};
}

/// Parts of its shards that no sample got, since the caller allowed it.
template <class F>
std::uint64_t left_out_parts_of(F const& format) {
    if constexpr (requires { format.left_out_parts(); }) return format.left_out_parts();
    else return 0;
}

/// Cancels the shard that is open when a stop is requested. The lock orders that against opening and closing; shards are shared, so
/// one that is being cancelled outlives its closing.
template <class Shard>
class stopper {
public:
    explicit stopper(std::stop_token token) : callback_(std::move(token), stop{this}) {}

    bool stopped() const {
        auto const lock = std::lock_guard(guard_);
        return stopped_;
    }
    void watch(std::shared_ptr<Shard> shard) {
        auto const lock = std::lock_guard(guard_);
        open_ = std::move(shard);
        if (stopped_ && open_) open_->cancel();
    }

private:
    struct stop {
        stopper* self;
        void operator()() const noexcept {
            auto const lock = std::lock_guard(self->guard_);
            self->stopped_ = true;
            if (self->open_) self->open_->cancel();
        }
    };
    mutable std::mutex guard_;
    std::shared_ptr<Shard> open_;
    bool stopped_ = false;
    std::stop_callback<stop> callback_;  // last: a stop may arrive as soon as it exists
};

}  // namespace detail

}  // namespace penstock
