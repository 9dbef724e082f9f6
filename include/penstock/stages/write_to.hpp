// Implements: write_to(sink), every remaining item written into a sink that the end of the chain completes.
#pragma once

#include <penstock/core/stage.hpp>  // defines: terminal, pipeline, value_of, value, broken_chain

#include <utility>

namespace penstock {

/// Takes items. finish() completes what was written, and returns what write_to is to return; a sink that is destroyed before has left nothing
/// that could be taken for complete: it writes under a temporary name, or into memory. A sink with start() is told before the first item is pulled.
template <class K, class Item>
concept sink = requires(K& k, Item item) {
    k.write(std::move(item));
    k.finish();
};

namespace detail {

/// Keyed items go as they are into a sink that takes them, their values into one that does not.
template <class K, class Item>
inline constexpr bool takes_whole = sink<K, Item>;

template <class S, class K>
auto write_all(pipeline<S>& chain, K& into) {
    using item_type = typename S::item_type;
    if constexpr (requires { into.start(); }) into.start();
    auto write = [&](item_type&& item) {
        if constexpr (takes_whole<K, item_type>) into.write(std::move(item));
        else into.write(std::move(item.value));
        return true;
    };
    chain.for_each_while(write);
    return into.finish();
}

}  // namespace detail

/// Ends a chain: writes every item of the first epoch into `into` and returns what its finish() returns. Of keyed items a sink that takes only values gets the value.
/// If a stage or the sink throws, the sink is destroyed unfinished, so a failed run leaves nothing half-written.
///
/// Order    unchanged
/// Buffers  what the sink does
/// Resume   does not apply; it runs to the end
/// Threads  none
/// Errors   forwards those of the sink and of the stages before
///
///     range(3) | write_to(text_sink{})    // 0 1 2
template <class K>
auto write_to(K into) {
    return terminal([into = std::move(into)]<class S>(pipeline<S> chain) mutable {
        using item_type = typename S::item_type;
        constexpr bool ok = sink<K, item_type> || sink<K, value_of<item_type>>;
        static_assert(ok, "write_to(sink): the sink has no write(item) for the item type of the chain, or no finish(). HINT: give it both; write takes the item by value or const&");
        if constexpr (ok) {
            auto own = std::move(into);  // gone when this call ends, whatever becomes of the closure
            return detail::write_all(chain, own);
        } else return broken_chain{};
    });
}

}  // namespace penstock
