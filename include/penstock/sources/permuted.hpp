// Implements: permuted(n), the numbers from 0 to n - 1 in another order in every epoch.
#pragma once

#include <penstock/core/stage.hpp>           // defines: pipeline, epoch, size_hint, state_*, write_back, config_error
#include <penstock/sources/permutation.hpp>  // defines: permutation, child_key

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

class permuted_source {
public:
    using item_type = std::uint64_t;
    explicit permuted_source(std::uint64_t n) : n_(n), order_(order()) {}

    std::optional<std::uint64_t> next() { return i_ == n_ ? std::nullopt : std::optional(order_(i_++)); }
    bool discard() { return i_ != n_ && ++i_; }
    void reset(epoch e) {
        key_ = child_key(e.key, "permuted");
        pass_ = e.index;
        order_ = order();
        i_ = 0;
    }
    size_hint hint() const { return {n_ - i_, n_ - i_}; }
    void save(state_writer& w) const { w.stage("permuted", 1).put("n", n_).put("at", i_).put("key", key_).put("pass", pass_); }
    void load(state_reader& r) {
        auto const record = r.stage("permuted", 1);
        auto const n = record.get("n"), at = record.get("at");
        if (n != n_ || at > n) throw state_error(message("load: permuted: saved at ", at, " of ", n, ", this one has ", n_, "\n  HINT: build it with the n that was saved"));
        key_ = record.get("key");
        pass_ = record.get("pass");
        order_ = order();
        i_ = at;
    }
    template <class F>
    bool for_each_while(F& f) {
        auto i = i_;
        write_back on_exit{i_, i};
        while (i != n_)
            if (!f(order_(i++))) return false;
        return true;
    }

private:
    permutation order() const { return permutation((std::max)(n_, std::uint64_t{1}), key_, pass_); }

    std::uint64_t n_, i_ = 0;
    std::uint64_t key_ = child_key(epoch{}.key, "permuted"), pass_ = 0;
    permutation order_;
};

/// The integers 0, 1, ..., n - 1, as std::uint64_t, each once, in an order that belongs to (seed, epoch, n). n may be up to 2^64 - 1.
///
/// Order    permuted by the key of the epoch, the same on every machine and for ever; no table, so a jump costs nothing
/// Buffers  nothing
/// Resume   exact, one integer
/// Threads  none
/// Errors   config_error if n < 0
///
///     permuted(6) | collect()    // 2 3 0 1 4 5
template <std::integral N>
auto permuted(N n) {
    if (std::cmp_less(n, 0)) throw config_error(message("permuted(n): n must be >= 0, got ", n, "\n  HINT: permuted(n) orders the numbers from 0 to n - 1"));
    return pipeline(permuted_source(static_cast<std::uint64_t>(n)));
}

}  // namespace penstock
