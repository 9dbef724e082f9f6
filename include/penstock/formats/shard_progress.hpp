// Implements: shard_progress, what a scan of many shards tells about itself; print_progress and print_notes, which tell things to the terminal.
#pragma once

#include <penstock/core/describe.hpp>  // defines: grouped

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

namespace penstock {

/// Of a scan: told once before it starts, after every shard, and once when it has ended (done == shards).
struct shard_progress {
    std::string who{};        ///< the stage or program that scans
    std::string doing{};      ///< "counting", "indexing"
    std::string reason{};     ///< why the first shard has to be scanned
    std::size_t shards = 0, done = 0;
    std::uint64_t bytes = 0, bytes_done = 0;  ///< of the shards to scan
    std::uint64_t samples = 0;                ///< in those that are done
    double seconds = 0;       ///< since the start
    double estimate = 0;      ///< seconds the whole scan takes: from the beginning of one shard before it starts, from its pace later
    int threads = 1;
};
using progress_sink = std::function<void(shard_progress const&)>;
/// Is told, once, what a user should know although nothing failed.
using note_sink = std::function<void(std::string const&)>;

namespace detail {

/// 1.2 GB, three digits at most.
inline std::string readable_bytes(std::uint64_t n) {
    constexpr char const* units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    auto value = static_cast<double>(n);
    std::size_t unit = 0;
    for (; value >= 999.5 && unit != 6; ++unit) value /= 1000;
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 || value >= 99.95 ? "%.0f %s" : value >= 9.995 ? "%.1f %s" : "%.2f %s", value, units[unit]);
    return text;
}
inline std::string readable_seconds(double s) {
    char text[32];
    if (s < 9.95) std::snprintf(text, sizeof text, "%.1f s", s);
    else if (s < 99.5) std::snprintf(text, sizeof text, "%.0f s", s);
    else if (s < 7200) std::snprintf(text, sizeof text, "%.0f min", s / 60);
    else std::snprintf(text, sizeof text, "%.1f h", s / 3600);
    return text;
}

/// Keeps a shard_progress while several threads scan.
class progress_meter {
public:
    progress_meter(shard_progress start, progress_sink const& sink) : now_(std::move(start)), sink_(sink) { tell(); }
    void finished(std::uint64_t bytes, std::uint64_t samples) {
        auto const lock = std::lock_guard(guard_);
        ++now_.done;
        now_.bytes_done += bytes;
        now_.samples += samples;
        now_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
        if (now_.bytes_done != 0) now_.estimate = now_.seconds * static_cast<double>(now_.bytes) / static_cast<double>(now_.bytes_done);
        tell();
    }

private:
    void tell() const {
        if (sink_) sink_(now_);
    }
    shard_progress now_;
    progress_sink const& sink_;
    std::mutex guard_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace detail

/// A sink that writes each note as a line.
inline note_sink print_notes(std::FILE* to = stderr) {
    return [to](std::string const& note) {
        std::fprintf(to, "%s\n", note.c_str());
        std::fflush(to);
    };
}

/// A sink that writes lines: nothing for a scan that ends within `quiet` seconds, else what is about to happen, a line every `every`
/// seconds, and the result.
inline progress_sink print_progress(std::FILE* to = stderr, double quiet = 1, double every = 5) {
    return [to, quiet, every, said = false, last = 0.0](shard_progress const& p) mutable {
        auto const line = [&](std::string const& text) {
            std::fprintf(to, "%s: %s\n", p.who.c_str(), text.c_str());
            std::fflush(to);
            said = true;
            last = p.seconds;
        };
        auto const shards = detail::grouped(p.shards) + (p.shards == 1 ? " shard" : " shards");
        if (p.done == p.shards && p.shards != 0) {
            if (said) line(p.doing + " done: " + shards + ", " + detail::grouped(p.samples) + " samples, in " + detail::readable_seconds(p.seconds));
            return;
        }
        if (!said && (p.estimate >= quiet || p.seconds >= quiet))
            return line(p.doing + " " + shards + " of " + detail::readable_bytes(p.bytes) + " by reading their headers, about " + detail::readable_seconds(p.estimate) + " with " + std::to_string(p.threads) +
                        (p.threads == 1 ? " thread" : " threads") + (p.reason.empty() ? std::string{} : " (" + p.reason + ")"));
        if (said && p.seconds >= last + every)
            line(p.doing + " " + detail::grouped(p.done) + " of " + shards + ", " + detail::readable_seconds((p.estimate > p.seconds ? p.estimate - p.seconds : 0)) + " left");
    };
}

}  // namespace penstock
