// Implements: count_samples, how many samples a shard has, by its headers alone; and the same for many shards at once.
#pragma once

#include <penstock/formats/tar_walker.hpp>  // defines: tar_walker, damaged_shard, damage
#include <penstock/io/open_file.hpp>        // defines: opener, file_opener, byte_source

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace penstock {

struct count_options {
    int threads = 4;                         ///< at most this many shards are open at once
    io::opener open = io::file_opener();     ///< called from these threads, one source per shard
    tar_options tar = {};
};

namespace detail {

/// Keys of a shard by hash, to find one that comes back later; equal hashes are settled by reading both keys again.
class returning_keys {
public:
    void add(std::string const& key, std::uint64_t byte) { seen_.push_back({std::hash<std::string>{}(key), byte}); }
    void check(std::shared_ptr<io::byte_source> const& source, tar_options options) {
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
};

}  // namespace detail

/// The number of samples of one shard. A damaged shard is an error (damaged_shard), and so is a key that comes back later in it;
/// a sample with a duplicate or reserved field counts, because it takes its place when it is read.
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

namespace detail {
/// Runs f(0) ... f(n - 1) on at most `threads` threads and returns when all have ended. When calls throw, the error of the lowest index
/// is the one that is thrown, whatever the timing; no further index is started after the first error.
template <class F>
void for_each_index_parallel(std::size_t n, int threads, F f) {
    if (threads < 1) throw config_error(message("threads: must be >= 1, got ", threads, "\n  HINT: 1 reads one shard after the other"));
    auto next = std::atomic<std::size_t>{0};
    auto failed = std::atomic<bool>{false};
    auto guard = std::mutex{};
    auto first = n;
    auto error = std::exception_ptr{};
    auto const work = [&] {
        while (!failed.load()) {
            // Taken in order: when index i fails, every lower one was started and will report too.
            auto const i = next.fetch_add(1);
            if (i >= n) return;
            try {
                f(i);
            } catch (...) {
                auto const lock = std::lock_guard(guard);
                if (i < first) {
                    first = i;
                    error = std::current_exception();
                }
                failed.store(true);
            }
        }
    };
    {
        auto pool = std::vector<std::jthread>{};
        auto const extra = (std::min)(static_cast<std::size_t>(threads), n);
        for (std::size_t t = 1; t < extra; ++t) pool.emplace_back(work);
        work();
    }
    if (error) std::rethrow_exception(error);
}

}  // namespace detail

/// The samples of each shard, in the order of `paths`, whatever the number of threads.
inline std::vector<std::uint64_t> count_samples(std::vector<std::string> const& paths, count_options const& options = {}) {
    auto counts = std::vector<std::uint64_t>(paths.size());
    detail::for_each_index_parallel(paths.size(), options.threads, [&](std::size_t i) { counts[i] = count_samples(options.open(paths[i]), options.tar); });
    return counts;
}

}  // namespace penstock
