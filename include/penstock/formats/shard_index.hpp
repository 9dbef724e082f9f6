// Implements: shard_index, the side file that remembers how many samples the shards of a directory have.
#pragma once

#include <penstock/formats/tar_writer.hpp>  // defines: written_shard
#include <penstock/io/atomic_file.hpp>      // defines: atomic_file, if_busy
#include <penstock/io/open_file.hpp>        // defines: open_file

#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// One text file per directory, `penstock-index`: a heading, one line `samples bytes mtime_ns base-name` per shard in the order of
/// names, and a last line `end <shards>`. It saves a scan and replaces no check: an entry counts only while length and time of change of
/// its shard are those of the scan.
class shard_index {
public:
    struct entry {
        std::uint64_t samples = 0, bytes = 0;
        std::int64_t mtime_ns = 0;
        friend bool operator==(entry const&, entry const&) = default;
    };
    /// What the index knows of a shard: its samples, or why not.
    struct answer {
        std::optional<std::uint64_t> samples{};
        std::string reason{};
    };

    static std::string path_in(std::string const& directory) { return directory + "penstock-index"; }
    /// "a/b/c.tar" -> {"a/b/", "c.tar"}
    static std::pair<std::string, std::string> split(std::string const& path) {
        auto const cut = path.rfind('/') + 1;  // npos + 1 is 0
        return {path.substr(0, cut), path.substr(cut)};
    }

    /// `directory` is empty or ends in '/'. A missing file is an empty index; one that cannot be read is an empty index with problem() set.
    static shard_index read(std::string const& directory) {
        auto result = shard_index{};
        auto const path = path_in(directory);
        struct ::stat status {};
        if (::stat(path.c_str(), &status) != 0 && errno == ENOENT) return result;
        try {
            auto const file = io::open_file(path);
            if (file->size() > largest) result.problem_ = message(path, " has ", file->size(), " bytes; at most 1 GiB makes sense");
            else result.parse(file->read(0, static_cast<std::size_t>(file->size())).text(), path);
        } catch (stage_error const& e) {
            result.problem_ = e.what();
        }
        if (!result.problem_.empty()) result.all_.clear();
        return result;
    }
    /// Atomic; when several processes write, the last one stays. Names with a line end are left out.
    void write(std::string const& directory) const {
        auto file = io::atomic_file(path_in(directory), "shard_index", io::if_busy::wait);
        auto text = std::string(heading) + "\n";
        std::size_t lines = 0;
        for (auto const& [name, e] : all_) {
            if (name.find('\n') != name.npos) continue;
            text += message(e.samples, ' ', e.bytes, ' ', e.mtime_ns, ' ', name, '\n');
            ++lines;
        }
        file.write(text + message("end ", lines, '\n'));
        file.commit();
    }

    /// `path` leads to the shard; its length and time of change are looked up now.
    answer look(std::string const& path) const {
        auto const found = all_.find(split(path).second);
        if (found == all_.end()) return {{}, problem_.empty() ? path + " is not in the index" : problem_};
        auto const now = stat_of(path);
        if (!now) return {{}, path + " cannot be looked up"};
        auto const& e = found->second;
        if (now->bytes != e.bytes) return {{}, message(path, " has ", now->bytes, " bytes, ", e.bytes, " when it was indexed")};
        if (now->mtime_ns != e.mtime_ns) return {{}, path + " was changed after it was indexed"};
        return {e.samples, {}};
    }
    /// Remembers a shard by what stat says of it; call `stat_of` before the scan, so that a change during it shows.
    void set(std::string const& base_name, entry e) { all_.insert_or_assign(base_name, e); }
    void set(written_shard const& shard) { set(split(shard.path).second, {shard.samples, shard.bytes, shard.mtime_ns}); }
    void forget(std::string const& base_name) { all_.erase(base_name); }

    std::map<std::string, entry> const& entries() const { return all_; }
    /// Why an index file that exists was not used; empty when it was.
    std::string const& problem() const { return problem_; }

    /// Length and time of change, samples 0; nothing when the file cannot be looked up.
    static std::optional<entry> stat_of(std::string const& path) {
        struct ::stat s {};
        if (::stat(path.c_str(), &s) != 0) return std::nullopt;
        return entry{0, static_cast<std::uint64_t>(s.st_size), std::int64_t{s.st_mtim.tv_sec} * 1'000'000'000 + s.st_mtim.tv_nsec};
    }

private:
    static constexpr std::string_view heading = "penstock-index 1";
    static constexpr std::uint64_t largest = 1 << 30;

    void parse(std::string_view text, std::string const& path) {
        std::size_t number = 0;
        auto const bad = [&](std::string_view why) { problem_ = message(path, ", line ", number, ": ", why, "; remove the file to have it written again"); };
        auto line = std::string_view{};
        auto const take = [&] {
            auto const cut = text.find('\n');
            if (cut == text.npos) return false;
            line = text.substr(0, cut);
            text.remove_prefix(cut + 1);
            ++number;
            return true;
        };
        auto const integer = [&](auto& value) {
            auto const [end, why] = std::from_chars(line.data(), line.data() + line.size(), value);
            if (why != std::errc{}) return false;
            line.remove_prefix(static_cast<std::size_t>(end - line.data()));
            return true;
        };
        auto const space = [&] { return line.starts_with(' ') ? (line.remove_prefix(1), true) : false; };
        if (!take() || line != heading) return bad("this is no index of version 1");
        while (take()) {
            if (line.starts_with("end ")) {
                line.remove_prefix(4);
                std::size_t lines = 0;
                if (!integer(lines) || !line.empty() || lines != number - 2 || !text.empty()) bad("the last line does not match the file");
                return;
            }
            auto e = entry{};
            if (!integer(e.samples) || !space() || !integer(e.bytes) || !space() || !integer(e.mtime_ns) || !space() || line.empty())
                return bad("expected 'samples bytes mtime_ns name'");
            if (!all_.emplace(line, e).second) return bad("the name is there twice");
        }
        bad("the file is cut off");
    }

    std::map<std::string, entry> all_{};
    std::string problem_{};
};

}  // namespace penstock
