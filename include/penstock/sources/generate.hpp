// Implements: generate(f), items that a function makes one after the other, or by their number.
#pragma once

#include <penstock/core/stage.hpp>  // defines: pipeline, epoch, state_*, write_back, broken_chain

#include <concepts>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

namespace detail {

template <class R>
struct generated {
    using type = R;
    static constexpr bool ends = false;
};
template <class T>
struct generated<std::optional<T>> {
    using type = T;
    static constexpr bool ends = true;
};

/// Whether f is a function of the item's number.
template <class F>
inline constexpr bool numbered = std::invocable<F&, std::uint64_t>;

}  // namespace detail

/// F takes nothing.
template <class F>
class generate_source {
    using made = detail::generated<std::decay_t<std::invoke_result_t<F&>>>;

public:
    using item_type = typename made::type;
    explicit generate_source(F f) : f_(std::move(f)) {}

    std::optional<item_type> next() {
        if constexpr (made::ends) {
            if (ended_) return std::nullopt;
            auto item = f_();
            ended_ = !item;
            return item;
        } else return std::optional<item_type>(f_());
    }

private:
    F f_;
    bool ended_ = false;
};

/// F takes the number of the item.
template <class F>
class numbered_source {
    using made = detail::generated<std::decay_t<std::invoke_result_t<F&, std::uint64_t>>>;

public:
    using item_type = typename made::type;
    explicit numbered_source(F f) : f_(std::move(f)) {}

    std::optional<item_type> next() {
        if (ended_) return std::nullopt;
        auto const i = i_++;  // before f: a call that throws consumes its number
        if constexpr (made::ends) {
            auto item = f_(i);
            ended_ = !item;
            return item;
        } else return std::optional<item_type>(f_(i));
    }
    bool discard()
        requires(!made::ends)
    {
        ++i_;
        return true;
    }
    void reset(epoch) {
        i_ = 0;
        ended_ = false;
    }
    void save(state_writer& w) const { w.stage("generate", 1).put("at", i_).put("ended", ended_); }
    void load(state_reader& r) {
        auto const record = r.stage("generate", 1);
        i_ = record.get("at");
        ended_ = record.get("ended") != 0;
    }
    template <class G>
    bool for_each_while(G& g) {
        auto i = i_;
        write_back on_exit{i_, i};
        while (!ended_) {
            auto const number = i++;
            if constexpr (made::ends) {
                auto item = f_(number);
                if (!item) ended_ = true;
                else if (!g(std::move(*item))) return false;
            } else if (!g(item_type(f_(number)))) return false;
        }
        return true;
    }

private:
    F f_;
    std::uint64_t i_ = 0;
    bool ended_ = false;
};

/// What f returns, again and again: of type std::optional<T> until it is empty, of any other type endlessly. f takes the number of the
/// item as std::uint64_t and then must depend on nothing else, or it takes nothing, and then there is one pass only.
///
/// Order    that of the calls
/// Buffers  nothing
/// Resume   exact by the number, if f takes it, and the same items in every epoch; else neither reset nor saved
/// Threads  none; f runs on the thread that pulls
/// Errors   forwards those of f, which consume a number
///
///     generate([](std::uint64_t i) { return i * i; }) | take(4)    // 0 1 4 9
template <class F>
auto generate(F f) {
    constexpr bool ok = detail::numbered<F> || std::invocable<F&>;
    static_assert(ok, "generate(f): f can be called neither with the number of an item nor with nothing. HINT: take a std::uint64_t");
    if constexpr (!ok) return broken_chain{};
    else {
        constexpr bool returns = [] {
            if constexpr (detail::numbered<F>) return !std::is_void_v<std::invoke_result_t<F&, std::uint64_t>>;
            else return !std::is_void_v<std::invoke_result_t<F&>>;
        }();
        static_assert(returns, "generate(f): f returns nothing. HINT: return the item, or std::optional of it to end some time");
        if constexpr (!returns) return broken_chain{};
        else if constexpr (detail::numbered<F>) return pipeline(numbered_source<F>(std::move(f)));
        else return pipeline(generate_source<F>(std::move(f)));
    }
}

}  // namespace penstock
