// Implements: dropped, the covers of items that a stage dropped, on their way to the next item it delivers.
#pragma once

#include <penstock/core/batch_type.hpp>  // defines: is_batch
#include <penstock/core/cover.hpp>       // defines: cover, interval
#include <penstock/core/keyed.hpp>       // defines: is_keyed
#include <penstock/core/state.hpp>       // defines: state_writer, state_reader

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

namespace penstock {

/// Where a dropping stage keeps covers. Items without one leave nothing. Empty after each delivered item, so the state is small.
class dropped {
public:
    template <class Item>
    void add(Item const& item) {
        if constexpr (is_keyed<Item> || is_batch<Item>) waiting_.add(item.cover);
    }
    void add(cover const& positions) { waiting_.add(positions); }
    /// Puts what waits before the item's own cover.
    template <class Item>
    void join(Item& item) {
        if constexpr (is_keyed<Item> || is_batch<Item>) {
            if (waiting_.empty()) return;
            auto both = take();
            both.add(item.cover);
            item.cover = std::move(both);
        }
    }
    cover take() { return std::exchange(waiting_, {}); }

    void save(state_writer::record record) const {
        std::uint64_t n = 0;
        waiting_.each([&](interval) { ++n; });
        record.put("dropped", n);
        n = 0;
        waiting_.each([&](interval i) {
            auto const k = std::to_string(n++);
            record.put("begin" + k, i.begin).put("end" + k, i.end);
        });
    }
    void load(state_reader::record const& record) {
        waiting_ = {};
        for (std::uint64_t i = 0, n = record.get("dropped"); i != n; ++i) {
            auto const k = std::to_string(i);
            waiting_.add(interval{record.get("begin" + k), record.get("end" + k)});
        }
    }

private:
    cover waiting_;
};

/// What stands for it in a stage whose items carry no cover: no member, no destructor, the same record. Stage keeps the types of one chain apart.
template <class Stage>
struct nothing_dropped {
    template <class Item>
    void add(Item const&) {}
    template <class Item>
    void join(Item&) {}
    cover take() { return {}; }
    void save(state_writer::record record) const { record.put("dropped", 0); }
    void load(state_reader::record const& record) { (void)record.get("dropped"); }
};
template <class Stage, class Item>
using dropped_of = std::conditional_t<is_keyed<Item> || is_batch<Item>, dropped, nothing_dropped<Stage>>;

}  // namespace penstock
