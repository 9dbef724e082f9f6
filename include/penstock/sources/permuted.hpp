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
    using item_type = std::int64_t;  // as those of range
    static constexpr char const* name = "permuted";
    explicit permuted_source(std::uint64_t n) : n_(n), order_(order()) {}

    std::optional<std::int64_t> next() { return i_ == n_ ? std::nullopt : std::optional(item(number(i_++))); }
    bool discard() { return i_ != n_ && ++i_; }
    void reset(epoch e) {
        arrange(e.line, e.index);
        i_ = 0;
    }
    chain_facts facts() const { return whole_of(n_); }
    std::uint64_t size() const { return n_; }
    /// The order of pass `pass` of the line: place by place the number of the item there.
    void arrange(std::uint64_t line, std::uint64_t pass) {
        key_ = child_key(line, name);
        pass_ = pass;
        order_ = order();
    }
    std::uint64_t number(std::uint64_t place) const { return order_(place); }
    std::int64_t item(std::uint64_t number) const { return static_cast<std::int64_t>(number); }
    size_hint hint() const { return {n_ - i_, n_ - i_}; }
    void save(state_writer& w) const { w.stage(name, 1).identify("n", n_).put("at", i_).put("key", key_).put("pass", pass_); }
    void load(state_reader& r) {
        auto const record = r.stage(name, 1);
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
            if (!f(item(number(i++)))) return false;
        return true;
    }

private:
    permutation order() const { return permutation((std::max)(n_, std::uint64_t{1}), key_, pass_); }

    std::uint64_t n_, i_ = 0;
    std::uint64_t key_ = child_key(epoch{}.line, name), pass_ = 0;
    permutation order_;
};

/// The integers 0, 1, ..., n - 1, as std::int64_t, each once, in an order that belongs to (seed, epoch, n) and is the same whatever stages follow; a fan-in
/// gives each of its inputs an order of its own, but for zip.
///
/// Order    permuted by the key of the line, the same on every machine and for ever; no table, so a jump costs nothing
/// Buffers  nothing
/// Resume   exact, one integer; in another world with split_by_rank right behind it
/// Threads  none
/// Errors   config_error if n is not in [0, 2^63)
///
///     permuted(6) | collect()    // 2 3 0 1 4 5
template <std::integral N>
auto permuted(N n) {
    if (!std::in_range<std::int64_t>(n) || n < 0)
        throw config_error(message("permuted(n): n must be >= 0 and < 2^63, got ", n, "\n  HINT: permuted(n) orders the numbers from 0 to n - 1"));
    return pipeline(permuted_source(static_cast<std::uint64_t>(n)));
}

}  // namespace penstock
