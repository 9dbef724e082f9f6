// Implements: write_tar(pattern, options), a terminal that writes samples into shards and indexes them; complete_shards, to skip it.
#pragma once

#include <penstock/core/stage.hpp>           // defines: terminal, pipeline, keyed, value
#include <penstock/formats/shard_block.hpp>  // defines: shard_block, shard_index
#include <penstock/formats/tar_writer.hpp>   // defines: tar_writer, written_shard
#include <penstock/io/locked_file.hpp>       // defines: directory_lock
#include <penstock/stages/write_to.hpp>      // defines: sink, write_all

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock {

enum class existing_shards {
    refuse,   ///< stage_error when the pattern has shards already
    replace,  ///< remove them first, whatever their number
};

struct write_tar_options {
    std::uint64_t samples = 100'000;           ///< a shard is full at so many samples ...
    std::uint64_t bytes = 3'000'000'000;       ///< ... or as soon as it has so many bytes, headers included
    std::vector<std::uint64_t> sizes = {};     ///< instead of both: the samples of each shard; the stream must have exactly their sum
    int digits = 6;                            ///< of the number that replaces {} in the pattern
    existing_shards existing = existing_shards::refuse;
    std::uint64_t mtime = 0;                   ///< of the members; 0 keeps shards reproducible
    bool checksums = true;                     ///< remember a CRC-32C of every field, for read_tar({.verify = true})
};

struct written_shards {
    std::vector<written_shard> shards{};
    std::uint64_t samples = 0;
    std::uint64_t bytes = 0;
};

namespace detail {

/// "dir/train-{}.tar" in parts, and the shards of that pattern that exist.
struct shard_pattern {
    std::string directory, prefix, suffix;
    int digits;

    shard_pattern(std::string const& pattern, int width, char const* who) : digits(width) {
        auto const hole = pattern.find("{}");
        auto const slash = pattern.rfind('/') + 1;
        if (hole == pattern.npos || pattern.find("{}", hole + 2) != pattern.npos || hole < slash)
            throw config_error(message(who, ": the pattern must have one {} in its file name, got '", pattern, "'\n  HINT: such as \"dir/train-{}.tar\""));
        if (width < 1 || width > 18) throw config_error(message(who, ": digits must be 1 to 18, got ", width, "\n  HINT: 6 is common"));
        directory = pattern.substr(0, slash);
        prefix = pattern.substr(slash, hole - slash);
        suffix = pattern.substr(hole + 2);
    }
    std::string base_name(std::uint64_t number) const {
        auto text = std::to_string(number);
        auto const width = static_cast<std::size_t>(digits);
        return prefix + (text.size() < width ? std::string(width - text.size(), '0') : std::string{}) + text + suffix;
    }
    std::string path(std::uint64_t number) const { return directory + base_name(number); }
    /// Whether a file name is one of the pattern, of any number of digits.
    bool covers(std::string_view name) const {
        if (name.size() <= prefix.size() + suffix.size() || !name.starts_with(prefix) || !name.ends_with(suffix)) return false;
        auto const number = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
        return std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
    }
    std::vector<std::string> present() const {
        auto names = std::vector<std::string>{};
        auto ignored = std::error_code{};
        for (auto const& e : std::filesystem::directory_iterator(directory.empty() ? "." : directory, ignored))
            if (auto name = e.path().filename().string(); covers(name)) names.push_back(std::move(name));
        std::sort(names.begin(), names.end());
        return names;
    }
};

/// A sink: opens shards one after the other and closes them by the policy.
class shard_set_writer {
public:
    shard_set_writer(std::string const& pattern, write_tar_options options)
        : pattern_(pattern, options.digits, "write_tar"), options_(std::move(options)) {
        if (options_.samples == 0 || options_.bytes == 0)
            throw config_error(message("write_tar: samples and bytes per shard must be >= 1, got ", options_.samples, " and ", options_.bytes, "\n  HINT: leave them out for 100,000 and 3e9"));
        for (auto n : options_.sizes)
            if (n == 0) throw config_error("write_tar: sizes must be >= 1, got 0\n  HINT: an empty shard serves nobody");
    }

    /// Takes the directory for itself.
    void start() {
        auto failed = std::error_code{};
        if (!pattern_.directory.empty()) std::filesystem::create_directories(pattern_.directory, failed);
        if (failed) io::throw_errno("write_tar", pattern_.directory, "create the directory", failed.value());
        lock_.emplace(pattern_.directory + ".penstock-writing", "write_tar");
        auto const old = pattern_.present();
        if (!old.empty() && options_.existing == existing_shards::refuse)
            throw stage_error("write_tar", fault::io, place{pattern_.directory + old.front(), {}, {}, {}}, message("the pattern has ", number_of(old.size(), "shard"), " already"),
                              "write elsewhere, or replace them with {.existing = existing_shards::replace}");
        auto index = shard_index::read(pattern_.directory);
        index.refuse_foreign();  // now, not when all shards are written
        auto listed = false;
        auto names = std::vector<std::string>{};
        index.each([&](std::string_view name, shard_index::entry const&) {
            if (pattern_.covers(name)) names.emplace_back(name);
        });
        for (auto const& name : names) {
            index.forget(name);
            listed = true;
        }
        if (listed) index.write(pattern_.directory);  // first, so that no index ever speaks of a set that is half replaced
        for (auto const& name : old) shard_block::remove(pattern_.directory + name);
        for (auto const& name : old)
            if (!std::filesystem::remove(pattern_.directory + name, failed) && failed) io::throw_errno("write_tar", pattern_.directory + name, "remove", failed.value());
    }
    void write(fields const& files) { add(files.key(), files); }
    void write(keyed<fields> const& item) { add(item.key.empty() ? item.value.key() : item.key, item.value); }
    void add(std::string_view key, fields const& files) {
        if (!shard_) open_next(key);
        shard_->add(key, files);
        if (full()) close();
    }
    written_shards finish() {
        if (shard_) close();
        if (!options_.sizes.empty() && result_.shards.size() < options_.sizes.size()) wrong_total(result_.samples, "ended after");
        for (std::size_t i = 0; i < options_.sizes.size(); ++i)
            if (result_.shards[i].samples != options_.sizes[i]) wrong_total(result_.samples, "ended after");
        auto index = shard_index::read(pattern_.directory);
        for (auto const& shard : result_.shards) index.set(shard);
        if (!result_.shards.empty()) index.write(pattern_.directory);
        lock_.reset();
        return std::move(result_);
    }

private:
    void open_next(std::string_view key) {
        auto const number = result_.shards.size();
        if (!options_.sizes.empty() && number == options_.sizes.size()) wrong_total(result_.samples, message("goes on with '", key, "' after"));
        shard_.emplace(pattern_.path(number), options_.mtime, options_.checksums);
    }
    bool full() const {
        if (!options_.sizes.empty()) return shard_->samples() == options_.sizes[result_.shards.size()];
        return shard_->samples() >= options_.samples || shard_->bytes() >= options_.bytes;
    }
    void close() {
        auto const written = shard_->finish();
        shard_.reset();
        result_.samples += written.samples;
        result_.bytes += written.bytes;
        result_.shards.push_back(written);
    }
    [[noreturn]] void wrong_total(std::uint64_t had, std::string_view what) const {
        std::uint64_t sum = 0;
        for (auto n : options_.sizes) sum += n;
        throw stage_error("write_tar", fault::content, place{pattern_.path(result_.shards.size()), {}, {}, {}},
                          message("sizes list ", number_of(sum, "sample"), " in ", number_of(options_.sizes.size(), "shard"), ", the stream ", what, " ", had), "make sizes add up to the length of the stream");
    }

    shard_pattern pattern_;
    write_tar_options options_;
    std::optional<io::directory_lock> lock_{};
    std::optional<tar_writer> shard_{};
    written_shards result_{};
};

}  // namespace detail

/// Writes every sample of the first epoch into shards `pattern`, {} being their number, and beside them an index (shard_index) and the
/// checksums of all fields (shard_block).
/// Items are `fields` or keyed<fields>; the key of the item counts, or that of the fields when it has none.
///
/// Order    the stream's; a new shard begins when one is full
/// Buffers  1 MiB
/// Resume   does not apply; a shard appears only when it is complete, the index only when all are
/// Threads  none
/// Errors   config_error for a bad pattern or size; stage_error naming the shard: names that readers would misread, a full disk, shards that
///          exist already, another process writing into the directory, a stream that is not as long as `sizes`
///
///     range(25) | map(files) | write_tar("data/train-{}.tar", {.samples = 10})    // shards of 10, 10 and 5 samples
inline auto write_tar(std::string const& pattern, write_tar_options options = {}) {
    (void)detail::shard_set_writer(pattern, options);  // wrong options throw now, before anything is read
    return terminal([pattern, options = std::move(options)]<class S>(pipeline<S> chain) {
        constexpr bool ok = std::is_same_v<value_of<typename S::item_type>, fields>;
        static_assert(ok, "write_tar: the items are not fields. HINT: map each to ps::fields: f.add(\"png\", bytes)");
        if constexpr (!ok) return broken_chain{};
        else {
            auto writer = detail::shard_set_writer(pattern, options);
            return detail::write_all(chain, writer);
        }
    });
}

/// The shards of `pattern` when the index knows all that exist, numbered from 0 without a gap, unchanged since they were written, and,
/// if `samples` is given, with that many samples together. Nothing otherwise, and `why` says what is missing.
inline std::optional<written_shards> complete_shards(std::string const& pattern, std::optional<std::uint64_t> samples = {}, int digits = 6,
                                                     std::string* why = nullptr) {
    auto const parts = detail::shard_pattern(pattern, digits, "complete_shards");
    auto const no = [&](std::string reason) -> std::optional<written_shards> {
        if (why != nullptr) *why = std::move(reason);
        return std::nullopt;
    };
    auto const index = shard_index::read(parts.directory);
    if (!index.problem().empty()) return no(index.problem());
    auto result = written_shards{};
    std::uint64_t listed = 0;
    index.each([&](std::string_view name, shard_index::entry const&) { listed += parts.covers(name) ? 1 : 0; });
    if (listed == 0) return no(message("no shard of ", pattern, " is in ", shard_index::path_in(parts.directory)));
    if (auto const there = parts.present(); there.size() != listed) return no(message(number_of(there.size(), "shard"), " of ", pattern, there.size() == 1 ? " exists, " : " exist, ", listed, listed == 1 ? " is" : " are", " in the index"));
    for (std::uint64_t i = 0; i < listed; ++i) {
        auto const known = index.look(parts.path(i));
        if (!known.samples) return no(known.reason);
        auto const e = *index.find(parts.base_name(i));
        result.shards.push_back({parts.path(i), e.samples, e.bytes, e.mtime_ns, e.spots});
        result.samples += e.samples;
        result.bytes += e.bytes;
    }
    if (samples && *samples != result.samples) return no(message(pattern, " has ", number_of(result.samples, "sample"), ", ", *samples, *samples == 1 ? " is wanted" : " are wanted"));
    return result;
}

}  // namespace penstock
