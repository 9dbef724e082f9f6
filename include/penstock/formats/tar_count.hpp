// Implements: count_samples, how many samples a shard has, by its headers alone; walk_samples, which looks at each.
#pragma once

#include <penstock/formats/tar_walker.hpp>  // defines: tar_walker, damaged_shard, damage
#include <penstock/io/byte_source.hpp>      // defines: byte_source

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace penstock {

namespace detail {

/// Walks a whole shard and calls f(walker, fields) for every sample: with its fields when `payloads`, empty otherwise and where the sample
/// has a fault of its own. A damaged shard is an error (damaged_shard).
template <class F>
void walk_samples(std::shared_ptr<io::byte_source> const& source, tar_options options, bool payloads, F f) {
    auto walker = tar_walker(source, std::move(options));
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
        f(std::as_const(walker), faulty ? std::optional<fields>{} : std::move(whole));
    }
}

}  // namespace detail

/// The number of samples of one shard, by its headers alone. A sample with a duplicate or reserved field counts, because it takes its place
/// when it is read.
inline std::uint64_t count_samples(std::shared_ptr<io::byte_source> const& source, tar_options options = {}) {
    auto walker = detail::tar_walker(source, std::move(options));
    while (walker.discard()) {}
    return walker.index();
}

/// The same for a source the caller keeps.
inline std::uint64_t count_samples(io::byte_source& source, tar_options options = {}) {
    return count_samples(std::shared_ptr<io::byte_source>(std::shared_ptr<void>{}, &source), std::move(options));
}

/// Seconds a header scan takes per byte of the shard, measured on its beginning for at most `budget`; nothing for what cannot be walked.
inline std::optional<double> header_scan_cost(std::shared_ptr<io::byte_source> const& source, std::chrono::milliseconds budget = std::chrono::milliseconds(20)) {
    auto const start = std::chrono::steady_clock::now();
    auto const spent = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
    auto walker = detail::tar_walker(source);
    try {
        while (walker.discard() && (walker.index() % 16 != 0 || spent() < std::chrono::duration<double>(budget).count())) {}
    } catch (stage_error const&) {
    }
    if (walker.offset() == 0) return std::nullopt;
    return spent() / static_cast<double>(walker.offset());
}

}  // namespace penstock
