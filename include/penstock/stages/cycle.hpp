// Implements: cycle() and cycle(n), the stages before it over and over, or n times.
#pragma once

#include <penstock/core/dropping_over.hpp>  // defines: dropping_over
#include <penstock/core/stage.hpp>          // defines: stage, epoch, size_hint, state_*, stage_error, config_error, broken_chain

#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

template <class S>
class [[nodiscard]] cycle_stage : public dropping_over<S> {
public:
    using item_type = typename S::item_type;
    static constexpr auto endless = ~std::uint64_t{0};
    cycle_stage(S before, std::uint64_t n) : dropping_over<S>(std::move(before)), n_(n) {}

    std::optional<item_type> next() {
        while (!over_) {
            auto item = pulled([this] { return this->up.next(); });
            if (item) {
                any_ = true;
                this->waiting.join(*item);
                return item;
            }
            turn();
        }
        return std::nullopt;
    }
    bool discard() {
        while (!over_) {
            if (pulled([this] { return penstock::discard(this->up); })) {
                any_ = true;
                this->waiting = {};
                return true;
            }
            turn();
        }
        return false;
    }
    void reset(epoch e) {
        refuse_recut(e, "cycle", "give repeat to the shard list instead");
        epoch_ = e.plain();
        begin(0);
        this->waiting = {};
    }
    void save(state_writer& w) const
        requires resumable<S>
    {
        auto record = w.stage("cycle", 1);  // before the stages it repeats: load() must put them into the right pass first
        record.put("times", n_).put("pass", pass_).put("any", any_).put("over", over_);
        this->waiting.save(record);
        this->up.save(w);
    }
    void load(state_reader& r)
        requires resumable<S>
    {
        auto const record = r.stage("cycle", 1);
        auto const times = [](std::uint64_t n) { return n == endless ? std::string() : std::to_string(n); };
        if (record.get("times") != n_)
            throw state_error(message("load: cycle(", times(n_), ") was saved as cycle(", times(record.get("times")), ")\n  HINT: build it with the n that was saved"));
        auto const pass = record.get("pass");
        if (pass != 0 && pass >= n_) throw state_error(message("load: cycle(", times(n_), "): it stands in pass ", pass, "\n  HINT: the state is damaged; use an older checkpoint"));
        begin(pass);
        any_ = record.get("any") != 0;
        over_ = record.get("over") != 0;
        this->waiting.load(record);
        this->up.load(r);
    }
    size_hint hint() const {
        auto h = hint_of(this->up);
        if (over_) return {0, 0};
        if (n_ == endless || pass_ + 1 < n_) h.upper = std::nullopt;  // how long the next pass is, is not known before its reset
        return h;
    }
    chain_facts facts() const {
        auto said = facts_of(this->up);
        if (n_ == endless || (n_ != 1 && !said.same_every_epoch)) return std::move(said).uncounted();
        auto const times = [this](std::optional<std::uint64_t>& items) {
            if (items && *items != 0 && n_ > endless / *items) items.reset();
            if (items) *items *= n_;
        };
        times(said.world_max);
        times(said.world_min);
        return said;
    }
    template <class F>
    bool for_each_while(F& f) {
        auto g = [&](item_type&& item) {
            any_ = true;
            this->waiting.join(item);
            return f(std::move(item));
        };
        while (!over_) {
            if (!pulled([&] { return penstock::for_each_while(this->up, g); })) return false;
            turn();
        }
        return true;
    }

private:
    /// f(); if it throws, this pass is not empty: the consumer hears of it, so nothing goes on for ever in silence.
    template <class F>
    auto pulled(F f) {
        try {
            return f();
        } catch (...) {
            any_ = true;
            throw;
        }
    }
    void begin(std::uint64_t pass) {
        pass_ = pass;
        any_ = over_ = false;
        auto e = epoch_;
        e.index = n_ == endless ? e.index + pass : e.index * n_ + pass;  // no pass of an epoch has the order of one before it
        this->up.reset(e);
    }
    /// The pass has ended: the next one begins, if there is one.
    void turn() {
        this->waiting.add(penstock::trailing(this->up));
        over_ = pass_ + 1 == n_ || (n_ == endless && !any_);
        if (!over_) begin(pass_ + 1);
        else if (n_ == endless)
            throw stage_error("cycle", fault::content, {}, message("the stages before it yield no item in pass ", pass_, ", so there is nothing to repeat"),
                              "look at what they drop; a rank without a sample of its own needs more samples, or fewer ranks");
    }

    std::uint64_t n_;
    epoch epoch_{};
    std::uint64_t pass_ = 0;
    bool any_ = false;   // whether this pass has yielded an item or an error
    bool over_ = false;
};

namespace detail {

inline auto cycles(std::uint64_t n) {
    return stage("cycle", [n]<class S>(S input) {
        constexpr bool ok = resettable<S>;
        static_assert(ok, "cycle repeats the stages before it, but they cannot be rewound. HINT: start from a source with reset(epoch), or keep the items in a vector");
        if constexpr (ok) return cycle_stage<S>(std::move(input), n);
        else return broken_chain{};
    });
}

}  // namespace detail

/// Repeats the stages before it `n` times per epoch, by reset: each pass has a new order. Pass k of epoch e is their epoch n * e + k.
/// Items that were dropped at the end of a pass are stood for by the first one of the next. For loops without fit, which has epochs of its own.
/// world_max ends here if the passes differ in length: behind random picks that end with the first source, or sources that start again.
///
/// Order    unchanged within a pass
/// Buffers  nothing
/// Resume   exact, the number of the pass; counts per rank, so no elastic resume (use repeat on the shard list)
/// Threads  none
/// Errors   forwards those of the stages before; config_error if n < 1
///
///     range(2) | cycle(3)    // 0 1 0 1 0 1
inline auto cycle(std::int64_t n) {
    if (n < 1) throw config_error(message("cycle(n): n must be >= 1, got ", n, "\n  HINT: cycle() without a number repeats without end"));
    return detail::cycles(static_cast<std::uint64_t>(n));
}
/// Without end: pass k of epoch e is epoch e + k of the stages before it. A pass without an item is a stage_error and ends the epoch.
inline auto cycle() { return detail::cycles(~std::uint64_t{0}); }

}  // namespace penstock
