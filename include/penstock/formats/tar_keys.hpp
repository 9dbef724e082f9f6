// Implements: tar_keys, the keys a shard has had so far, to find a sample whose files lie apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace penstock::detail {

/// Keys by hash; equal hashes are settled by whoever can read the key of a place again. Where keys ascend, as in most shards, none can come
/// back, and they are only noted: 16 bytes per sample, about 50 where they do not.
class tar_keys {
public:
    /// Notes `key`, whose first header lies at `byte`. The byte where it was before, if it was; `same(byte)` says whether the key there is this one.
    template <class Same>
    std::optional<std::uint64_t> add(std::string_view key, std::uint64_t byte, Same same) {
        auto const hash = std::hash<std::string_view>{}(key);
        if (ascending_ && (noted_.empty() || key.compare(last_) > 0)) {
            last_ = key;
            noted_.emplace_back(hash, byte);
            return std::nullopt;
        }
        if (std::exchange(ascending_, false)) {
            table_.insert(noted_.begin(), noted_.end());
            noted_ = {};
        }
        for (auto [at, end] = table_.equal_range(hash); at != end; ++at)
            if (same(at->second)) return at->second;
        table_.emplace(hash, byte);
        return std::nullopt;
    }

private:
    bool ascending_ = true;
    std::string last_{};
    std::vector<std::pair<std::size_t, std::uint64_t>> noted_{};
    std::unordered_multimap<std::size_t, std::uint64_t> table_{};
};

}  // namespace penstock::detail
