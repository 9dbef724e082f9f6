// Implements: scan(init, f), what f makes of every item and a running state.
#pragma once

#include <penstock/core/ask.hpp>         // defines: asks::returns
#include <penstock/core/blame.hpp>       // defines: give
#include <penstock/core/positioned.hpp>  // defines: positioned, plain_number, saveable, stage, value_of, value, rewrap, write_back, broken_chain

#include <concepts>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

template <class S, class T, class F>
class [[nodiscard]] scan_stage : public positioned<scan_stage<S, T, F>, S> {
    using input = typename S::item_type;
    using result = std::invoke_result_t<F&, T&, value_of<input>>;

public:
    static constexpr auto name = "scan", instead = "make results that depend on the item alone, with map, instead";
    using item_type = decltype(rewrap(std::declval<input>(), std::declval<result>()));
    scan_stage(S before, T init, F f) : scan_stage::positioned(std::move(before)), init_(std::move(init)), state_(init_), f_(std::move(f)) {}

    std::optional<item_type> next() {
        auto item = this->up.next();  // f must see every item, so there is no discard()
        if (!item) return std::nullopt;
        return std::optional<item_type>(made(state_, *item));
    }
    void restart() { state_ = init_; }
    static constexpr bool saveable_position = saveable<T>;
    static void position(auto& self, auto& p) {
        if constexpr (plain_number<T>) p("state", self.state_);
        else p(self.state_);
    }
    template <class G>
    bool for_each_while(G& g) {
        if constexpr (plain_number<T>) {
            auto now = state_;
            write_back on_exit{state_, now};
            auto h = [&](input&& item) { return g(made(now, item)); };
            return penstock::for_each_while(this->up, h);
        } else {
            auto h = [&](input&& item) { return g(made(state_, item)); };
            return penstock::for_each_while(this->up, h);
        }
    }

private:
    item_type made(T& state, input& item) {
        decltype(auto) out = give("scan", item, [&](auto&& value) -> decltype(auto) { return f_(state, std::forward<decltype(value)>(value)); });
        return rewrap(std::move(item), std::forward<decltype(out)>(out));
    }

    T init_, state_;
    F f_;
};

/// Replaces every item by f(state, item), f changing the state as it likes; every epoch of this rank starts from `init`.
/// Of a keyed item f gets the value, and the result keeps id, cover, key and weight. An item for which f throws leaves the state as f left it.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact if the state is a number, or has save(state_writer::record) const and load(state_reader::record const&); of another
///          state the pipeline offers no save. Counts per rank, so no elastic resume (use what depends on the item alone, with map)
/// Threads  none; f runs on the thread that pulls
/// Errors   forwards those of the stages before, and of f: over keyed items as a stage_error that names the sample. Either consumes its item
///
///     from_vector({1, 2, 3}) | scan(0, [](int& sum, int i) { return sum += i; })    // 1 3 6
template <class T, class F>
auto scan(T init, F f) {
    return stage("scan", [init = std::move(init), f = std::move(f)]<class S>(S input) mutable {
        static_assert(std::copyable<T>, "scan(init, f): init must be copyable, since every epoch starts from it again. HINT: give it a type that copies");
        if constexpr (!std::copyable<T>) return broken_chain{};
        else if constexpr (!asks::returns<"scan", typename S::item_type, F, T&>()) return broken_chain{};
        else return scan_stage<S, T, F>(std::move(input), std::move(init), std::move(f));
    });
}

}  // namespace penstock
