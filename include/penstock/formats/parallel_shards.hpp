// Implements: for_each_shard, the same work for many shards on a few threads of its own, before a pipeline exists.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace penstock::detail {

/// Runs f(0) ... f(n - 1) on at most `threads` threads and returns when all have ended. When calls throw, the error of the lowest index
/// is the one that is thrown, whatever the timing; no further index is started after the first error.
template <class F>
void for_each_shard(std::size_t n, int threads, F f) {
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

}  // namespace penstock::detail
