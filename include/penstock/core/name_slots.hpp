// Implements: name_slots, where each of many names stands in a list that its owner keeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace penstock::detail {

/// Few names are compared one after the other, which is fastest; many are found by hash, so that a list of n costs n and not n * n.
class name_slots {
public:
    static constexpr std::size_t few = 16;

    /// Where the first thing of that name stands in `list`, whose things have a `name`; its size: there is none.
    template <class List>
    std::size_t find(std::string_view name, List const& list) const {
        if (list.size() <= few) {
            std::size_t i = 0;
            while (i != list.size() && list[i].name != name) ++i;
            return i;
        }
        for (auto at = first_slot(name);; at = (at + 1) % slots_.size()) {
            if (slots_[at] == 0) return list.size();
            if (list[slots_[at] - 1].name == name) return slots_[at] - 1;
        }
    }
    /// A thing was added at the end of `list`; to be called each time.
    template <class List>
    void added(List const& list) {
        auto const n = list.size();
        if (n <= few) return;
        if (2 * n <= slots_.size()) return put(list, n - 1);
        slots_.assign(8 * n, 0);
        for (std::size_t i = 0; i != n; ++i) put(list, i);
    }
    void clear() { slots_.clear(); }

private:
    std::size_t first_slot(std::string_view name) const { return std::hash<std::string_view>{}(name) % slots_.size(); }
    template <class List>
    void put(List const& list, std::size_t i) {
        auto at = first_slot(list[i].name);
        while (slots_[at] != 0) at = (at + 1) % slots_.size();
        slots_[at] = static_cast<std::uint32_t>(i + 1);
    }
    std::vector<std::uint32_t> slots_{};  // a place in the list plus 1, in the first slot from that of its hash that was free; 0: free
};

}  // namespace penstock::detail
