// Implements: enumerate(), every item with its number.
#pragma once

#include <penstock/core/positioned.hpp>  // defines: positioned, stage_of, value_of, value, rewrap, write_back

#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

/// An item and its number in the epoch of this rank: `auto& [index, value] = item`.
template <class T>
struct numbered {
    std::uint64_t index = 0;
    T value;  // not {}: it need not have a default

    friend bool operator==(numbered const&, numbered const&) = default;
};

template <class S>
class [[nodiscard]] enumerate_stage : public positioned<enumerate_stage<S>, S> {
    using input = typename S::item_type;
    using pair = numbered<value_of<input>>;

public:
    static constexpr auto name = "enumerate", instead = "number by the id of a keyed item, with map_keyed, instead";
    using item_type = decltype(rewrap(std::declval<input>(), std::declval<pair>()));
    explicit enumerate_stage(S before) : enumerate_stage::positioned(std::move(before)) {}

    std::optional<item_type> next() {
        auto item = this->up.next();  // one that throws gets no number, so passing over an item must make it: no discard() here
        if (!item) return std::nullopt;
        return std::optional<item_type>(counted(*item, at_));
    }
    void restart() { at_ = 0; }
    static void position(auto& self, auto& p) { p("at", self.at_); }
    template <class F>
    bool for_each_while(F& f) {
        auto at = at_;
        write_back on_exit{at_, at};
        auto g = [&](input&& item) { return f(counted(item, at)); };
        return penstock::for_each_while(this->up, g);
    }

private:
    static item_type counted(input& item, std::uint64_t& at) {
        auto both = pair{at++, std::move(value(item))};
        return rewrap(std::move(item), std::move(both));
    }

    std::uint64_t at_ = 0;
};

/// Puts beside every item its number, from 0 in every epoch of this rank: numbered<T>{index, value}. Of a keyed item the value is numbered.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact, one integer; counts per rank, so no elastic resume (a keyed item has an id, which is the same in every world)
/// Threads  none
/// Errors   forwards those of the stages before, which get no number
///
///     from_vector({'a', 'b'}) | enumerate()    // {0, 'a'} {1, 'b'}
inline auto enumerate() { return stage_of<enumerate_stage>("enumerate"); }

}  // namespace penstock
