// Implements: count_samples, how many samples a shard has, by its headers alone; walk_samples, which looks at each.
#pragma once

#include <penstock/formats/tar_walker.hpp>  // defines: tar_walker, damaged_shard, damage
#include <penstock/io/byte_source.hpp>      // defines: byte_source

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

namespace detail {

/// Keys of a shard by hash, to find one that comes back later; equal hashes are settled by reading both keys again.
/// Where the keys ascend, as in most shards, none can come back, and nothing is sorted.
class returning_keys {
public:
    void add(std::string const& key, std::uint64_t byte) {
        ascending_ = ascending_ && (seen_.empty() || last_ < key);
        if (ascending_) last_ = key;
        seen_.push_back({std::hash<std::string>{}(key), byte});
    }
    void check(std::shared_ptr<io::byte_source> const& source, tar_options options) {
        if (ascending_) return;
        std::sort(seen_.begin(), seen_.end());
        for (std::size_t i = 1; i < seen_.size(); ++i) {
            for (auto j = i; j > 0 && seen_[j - 1].first == seen_[i].first; --j) {
                auto const key = key_at(source, seen_[i].second, options);
                if (key_at(source, seen_[j - 1].second, options) == key)
                    throw tar_members(source, false).error(damage::returning_key, seen_[i].second, key,
                        message("the key was there before, at byte ", seen_[j - 1].second, ", with other keys between"));
            }
        }
    }

private:
    static std::string key_at(std::shared_ptr<io::byte_source> const& source, std::uint64_t byte, tar_options options) {
        auto members = tar_members(source, options.allow_missing_end, byte);
        auto m = tar_member{};
        members.next(m);
        return std::string(tar_name::of(m.name).key);
    }
    std::vector<std::pair<std::uint64_t, std::uint64_t>> seen_;
    std::string last_;
    bool ascending_ = true;
};

/// Walks a whole shard and calls f(walker, fields) for every sample: with its fields when `payloads`, empty otherwise and where the sample
/// has a fault of its own. A damaged shard is an error (damaged_shard), and so is a key that comes back later in it.
template <class F>
void walk_samples(std::shared_ptr<io::byte_source> const& source, tar_options options, bool payloads, F f) {
    auto walker = tar_walker(source, options);
    auto keys = returning_keys{};
    while (true) {
        auto whole = std::optional<fields>{};
        auto const before = walker.index();
        bool faulty = false;
        try {
            if (payloads) whole = walker.next();
            else walker.discard();
        } catch (damaged_shard const& e) {
            if (!e.costs_one_sample()) throw;
            faulty = true;
        }
        if (walker.index() == before) break;
        keys.add(whole ? whole->key() : walker.last_key(), walker.first_byte());
        f(std::as_const(walker), faulty ? std::optional<fields>{} : std::move(whole));
    }
    keys.check(source, options);
}

}  // namespace detail

/// The number of samples of one shard, by its headers alone. A sample with a duplicate or reserved field counts, because it takes its place
/// when it is read.
inline std::uint64_t count_samples(std::shared_ptr<io::byte_source> const& source, tar_options options = {}) {
    auto walker = detail::tar_walker(source, options);
    auto keys = detail::returning_keys{};
    while (walker.discard()) keys.add(walker.last_key(), walker.first_byte());
    keys.check(source, options);
    return walker.index();
}

/// The same for a source the caller keeps.
inline std::uint64_t count_samples(io::byte_source& source, tar_options options = {}) {
    return count_samples(std::shared_ptr<io::byte_source>(std::shared_ptr<void>{}, &source), options);
}

/// Seconds a header scan takes per byte of the shard, measured on its beginning for at most `budget`; nothing for what cannot be walked.
inline std::optional<double> header_scan_cost(std::shared_ptr<io::byte_source> const& source, std::chrono::milliseconds budget = std::chrono::milliseconds(20)) {
    auto const start = std::chrono::steady_clock::now();
    auto const spent = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
    auto walker = detail::tar_walker(source, {.allow_missing_end = true});
    try {
        while (walker.discard() && (walker.index() % 16 != 0 || spent() < std::chrono::duration<double>(budget).count())) {}
    } catch (stage_error const&) {
    }
    if (walker.offset() == 0) return std::nullopt;
    return spent() / static_cast<double>(walker.offset());
}

}  // namespace penstock
