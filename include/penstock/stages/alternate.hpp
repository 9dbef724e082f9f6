// Implements: alternate(k, a, b, ...), k items from each source in turn.
#pragma once

#include <penstock/core/mixer.hpp>  // defines: mixer, stop_rule, branches

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace penstock {

namespace detail {

/// k turns for each source that is still there, in the order of the arguments.
class round_picker {
public:
    round_picker(std::size_t sources, std::uint64_t k) : k_(k), gone_(sources, false) {}

    void begin(epoch) {}
    std::size_t pick() {
        if (taken_ == k_) advance();
        ++taken_;
        return at_;
    }
    static bool same_every_epoch() { return true; }
    std::uint64_t period() const { return k_ <= ~std::uint64_t{0} / gone_.size() ? k_ * gone_.size() : 0; }
    std::uint64_t share(std::size_t) const { return k_; }
    void leave(std::size_t i) {
        gone_[i] = true;
        if (i == at_) taken_ = k_;
    }
    void save(state_writer::record& r) const { r.put("k", k_).put("at", at_).put("taken", taken_); }
    void load(state_reader::record const& r, char const* stage) {
        if (r.get("k") != k_) throw state_error(message("load: ", stage, "(", k_, ") was saved as ", stage, "(", r.get("k"), ")\n  HINT: build it with the k that was saved"));
        if (r.get("at") >= gone_.size() || r.get("taken") > k_)
            throw state_error(message("load: ", stage, ": cannot stand after item ", r.get("taken"), " of source number ", r.get("at"), "\n  HINT: the state is damaged; use an older checkpoint"));
        at_ = static_cast<std::size_t>(r.get("at"));
        taken_ = r.get("taken");
    }

private:
    void advance() {
        do at_ = at_ + 1 == gone_.size() ? 0 : at_ + 1;
        while (gone_[at_]);
        taken_ = 0;
    }

    std::uint64_t k_, taken_ = 0;
    std::size_t at_ = 0;
    std::vector<bool> gone_;
};

template <class... S>
auto alternate_of(std::uint64_t k, named_source<S>... all) {
    constexpr bool ok = branches<S...>::one_item_type;
    static_assert(ok, "alternate(k, a, b): the sources yield different item types. HINT: map each to one type first");
    if constexpr (!ok) return broken_chain{};
    else {
        no_weights("alternate", all...);
        return joined<branches<S...>>("alternate", mixer("alternate", branches<S...>("alternate", std::move(all)...), stop_rule::all, round_picker(sizeof...(S), k)));
    }
}

}  // namespace detail

/// k items of a, k of b, and so on, then k of a again. A source that has ended leaves; the others go on until all have ended.
/// Over sources that are cut by rank every rank takes the same turns: one for which it has no item is passed over.
///
/// Order    k from each in turn
/// Buffers  nothing
/// Resume   exact, a few integers per source
/// Threads  none
/// Errors   forwards those of the sources, before the item whose turn it is; config_error if k < 1, for bad names, and for sources cut by rank that do not know their largest part
///
///     alternate(2, range(5), from_vector<std::int64_t>({10, 11, 12}))    // 0 1 10 11 2 3 12 4
template <class A, class B, class... More>
auto alternate(std::int64_t k, A&& a, B&& b, More&&... more) {
    if (k < 1) throw config_error(message("alternate(k, ...): k must be >= 1, got ", k, "\n  HINT: alternate(1, a, b) takes one of each in turn"));
    if constexpr (!detail::joinable<A, B, More...>()) return broken_chain{};
    else
        return detail::with_names([k](auto... all) { return detail::alternate_of(static_cast<std::uint64_t>(k), std::move(all)...); }, std::forward<A>(a), std::forward<B>(b),
                                  std::forward<More>(more)...);
}

}  // namespace penstock
