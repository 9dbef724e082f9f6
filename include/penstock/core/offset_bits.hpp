// Implements: detail::offset_bits, a set of small numbers in a saved record, 64 to a word.
#pragma once

#include <penstock/core/state.hpp>  // defines: state_writer, state_reader

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace penstock::detail {

class offset_bits {
public:
    void put(std::uint64_t k) {
        if (k / 64 >= words_.size()) words_.resize(static_cast<std::size_t>(k / 64 + 1));
        words_[k / 64] |= std::uint64_t{1} << k % 64;
    }
    void put_below(std::uint64_t end) {
        for (std::uint64_t k = 0; k != end; ++k) put(k);
    }
    void drop(std::uint64_t k) { words_[k / 64] &= ~(std::uint64_t{1} << k % 64); }
    bool has(std::uint64_t k) const { return k / 64 < words_.size() && (words_[k / 64] >> k % 64 & 1) != 0; }
    /// Calls f(k) in ascending order.
    template <class F>
    void each(F f) const {
        for (std::uint64_t k = 0; k != 64 * words_.size(); ++k)
            if (words_[k / 64] >> k % 64 & 1) f(k);
    }

    void save(state_writer::record& record) const {
        auto count = words_.size();
        while (count != 0 && words_[count - 1] == 0) --count;
        record.put("words", count);
        for (std::size_t i = 0; i != count; ++i) record.put("word" + std::to_string(i), words_[i]);
    }
    /// Numbers from `end` on are not looked at.
    void load(state_reader::record const& record, std::uint64_t end) {
        words_.assign(static_cast<std::size_t>((std::min)(record.get("words"), end / 64 + 1)), 0);
        for (std::size_t i = 0; i != words_.size(); ++i) words_[i] = record.get("word" + std::to_string(i));
    }

private:
    std::vector<std::uint64_t> words_;
};

}  // namespace penstock::detail
