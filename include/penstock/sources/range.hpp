// Implements: range(n), the integers from 0 to n - 1.
#pragma once

#include <penstock/core/stage.hpp>  // defines: pipeline, epoch, size_hint, state_*, write_back, config_error

#include <cstdint>
#include <optional>

namespace penstock {

class range_source {
public:
    using item_type = std::int64_t;
    static constexpr char const* name = "range";
    explicit range_source(std::int64_t n) : n_(n) {}

    std::optional<std::int64_t> next() { return i_ == n_ ? std::nullopt : std::optional(i_++); }
    bool discard() { return i_ != n_ && ++i_; }
    void reset(epoch) { i_ = 0; }
    size_hint hint() const {
        auto const left = static_cast<std::uint64_t>(n_ - i_);
        return {left, left};
    }
    chain_facts facts() const { return whole_of(size()); }
    std::uint64_t size() const { return static_cast<std::uint64_t>(n_); }
    std::int64_t item(std::uint64_t number) const { return static_cast<std::int64_t>(number); }
    void save(state_writer& w) const { w.stage(name, 1).identify("n", static_cast<std::uint64_t>(n_)).put("at", static_cast<std::uint64_t>(i_)); }
    void load(state_reader& r) {
        auto const record = r.stage(name, 1);
        auto const n = record.get("n"), at = record.get("at");
        if (n != static_cast<std::uint64_t>(n_) || at > n)
            throw state_error(message("load: range: saved at ", at, " of ", n, ", this one has ", n_, "\n  HINT: build the chain over the range that was saved"));
        i_ = static_cast<std::int64_t>(at);
    }
    template <class F>
    bool for_each_while(F& f) {
        auto i = i_;
        write_back on_exit{i_, i};
        while (i != n_)
            if (!f(i++)) return false;
        return true;
    }

    template <class F>
    bool for_each_n(std::uint64_t n, F& f) {
        bool const enough = n <= static_cast<std::uint64_t>(n_ - i_);
        auto const end = enough ? i_ + static_cast<std::int64_t>(n) : n_;
        auto i = i_;
        write_back on_exit{i_, i};
        while (i != end) f(i++);
        return !enough;
    }

private:
    std::int64_t n_, i_ = 0;
};

/// The integers 0, 1, ..., n - 1, as std::int64_t, in every epoch.
///
/// Order    ascending
/// Buffers  nothing
/// Resume   exact, one integer; in another world with split_by_rank right behind it
/// Threads  none
/// Errors   config_error if n < 0
///
///     range(3) | collect()    // 0 1 2
inline auto range(std::int64_t n) {
    if (n < 0) throw config_error(message("range(n): n must be >= 0, got ", n, "\n  HINT: range(n) counts from 0 to n - 1"));
    return pipeline(range_source(n));
}

}  // namespace penstock
