// Implements: shard_index, the side file that remembers how many samples the shards of a directory have.
#pragma once

#include <penstock/io/atomic_file.hpp>  // defines: atomic_file, if_busy
#include <penstock/io/crc32c.hpp>       // defines: crc32c
#include <penstock/io/open_file.hpp>    // defines: open_file
#include <penstock/io/spot_sum.hpp>     // defines: spot_sum

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// A shard that was written.
struct written_shard {
    std::string path{};
    std::uint64_t samples = 0;
    std::uint64_t bytes = 0;
    std::int64_t mtime_ns = 0;
    std::uint32_t spots = 0;  ///< io::spot_sum

    friend bool operator==(written_shard const&, written_shard const&) = default;
};

/// One text file per directory, `.penstock-index`: a heading, one line `samples bytes mtime_ns spots base-name` per shard in the order of
/// names, and a last line `end <shards> <CRC-32C of all before>`. It saves a scan and replaces no check. An entry counts only while its shard has
/// the length of the scan and either its time of change (then nothing is read) or, as after `cp -r` or a download, its spots (io::spot_sum: at most
/// 256 KiB are read). What neither shows, the reader of the shard finds: another number of samples, and with `verify` every other byte.
/// Loads whole: 1 M shards in about 0.1 s.
///
/// Older versions called the file `penstock-index`. That one is read where there is no `.penstock-index`, and never written again. A file of either
/// name that does not begin as an index does is somebody else's: it is not read, and not replaced.
class shard_index {
public:
    struct entry {
        std::uint64_t samples = 0, bytes = 0;
        std::int64_t mtime_ns = 0;
        std::uint32_t spots = 0;  ///< io::spot_sum; 0: nobody took it
        friend bool operator==(entry const&, entry const&) = default;
        /// Whether both are the same file, as far as length and time of change tell.
        bool same_file(entry const& other) const { return bytes == other.bytes && mtime_ns == other.mtime_ns; }
    };
    /// What the index knows of a shard: its samples, or why not.
    struct answer {
        std::optional<std::uint64_t> samples{};
        std::string reason{};
        std::optional<entry> moved{};  ///< believed by its spots: what to remember of it from now on
    };

    static std::string path_in(std::string const& directory) { return directory + ".penstock-index"; }
    static std::string old_path_in(std::string const& directory) { return directory + "penstock-index"; }
    /// "a/b/c.tar" -> {"a/b/", "c.tar"}
    static std::pair<std::string, std::string> split(std::string const& path) {
        auto const cut = path.rfind('/') + 1;  // npos + 1 is 0
        return {path.substr(0, cut), path.substr(cut)};
    }

    /// `directory` is empty or ends in '/'. A missing file is an empty index; one that cannot be read is an empty index with problem() set.
    static shard_index read(std::string const& directory) {
        auto result = shard_index{};
        if (!result.load(path_in(directory), false)) result.old_name_ = result.load(old_path_in(directory), true);
        if (!result.problem_.empty()) result.lines_.clear();
        return result;
    }
    /// Puts what was set and forgotten since it was read into the file, atomically: what other processes wrote meanwhile stays.
    /// Names with a line end are left out. stage_error when it cannot be written, of kind content when a foreign file bears the name.
    void write(std::string const& directory) const {
        auto const path = path_in(directory);
        auto file = io::atomic_file(path, "shard_index", io::if_busy::wait);
        auto latest = read(directory);  // under the lock of the temporary file
        latest.refuse_foreign();
        for (auto const& [name, change] : changes_) latest.changes_.insert_or_assign(name, change);
        std::uint32_t sum = 0;
        std::size_t lines = 0;
        auto const put = [&](std::string const& text) {
            sum = io::crc32c(text.data(), text.size(), sum);
            file.write(text);
        };
        put(message(magic, newest, '\n'));
        auto row = std::string{};
        latest.each([&](std::string_view name, entry const& e) {
            if (name.find('\n') != name.npos) return;
            ((row.assign(std::to_string(e.samples)) += ' ') += std::to_string(e.bytes)) += ' ';
            ((row += std::to_string(e.mtime_ns)) += ' ') += std::to_string(e.spots);
            ((row += ' ') += name) += '\n';
            put(row);
            ++lines;
        });
        file.write(message("end ", lines, ' ', sum, '\n'));
        file.commit();
    }
    /// stage_error of kind content when a file that is no index bears the name of this one.
    void refuse_foreign() const {
        if (!foreign_.empty())
            throw stage_error("shard_index", fault::content, place{foreign_, {}, {}, {}}, "this is no index of penstock, and an index cannot be kept under another name", "move the file away; a pipeline goes without an index by .write_index = false");
    }

    /// The entry of a base name, whether or not its shard is still the same.
    std::optional<entry> find(std::string_view base_name) const {
        if (!changes_.empty())
            if (auto const changed = changes_.find(base_name); changed != changes_.end()) return changed->second;
        auto const at = std::lower_bound(lines_.begin(), lines_.end(), base_name, [](line const& l, std::string_view n) { return l.name < n; });
        if (at == lines_.end() || at->name != base_name) return std::nullopt;
        return at->marks;
    }
    /// `path` leads to the shard; its length and time of change are looked up now.
    answer look(std::string const& path) const { return look(path, stat_of(path)); }
    /// The same when they are known. Where only the time differs, the spots of the shard are read.
    answer look(std::string const& path, std::optional<entry> const& now) const {
        auto const e = find(std::string_view(path).substr(path.rfind('/') + 1));
        if (!e) return {{}, problem_.empty() ? path + " is not in the index" : problem_, {}};
        if (!now) return {{}, path + " cannot be looked up", {}};
        if (now->bytes != e->bytes) return {{}, message(path, " has ", number_of(now->bytes, "byte"), ", ", e->bytes, " when it was indexed"), {}};
        if (now->mtime_ns == e->mtime_ns) return {e->samples, {}, {}};
        if (e->spots == 0) return {{}, path + " has another time of change than when it was indexed", {}};
        try {
            if (io::spot_sum(*io::open_file(path)) == e->spots) return {e->samples, {}, entry{e->samples, e->bytes, now->mtime_ns, e->spots}};
        } catch (stage_error const& error) {
            return {{}, error.what(), {}};
        }
        return {{}, path + " was changed after it was indexed", {}};
    }
    /// Remembers a shard; its marks are those of `marks_of` before the scan, so that a change during it shows.
    void set(std::string const& base_name, entry e) { changes_.insert_or_assign(base_name, e); }
    void set(written_shard const& shard) { set(split(shard.path).second, {shard.samples, shard.bytes, shard.mtime_ns, shard.spots}); }
    void forget(std::string const& base_name) { changes_.insert_or_assign(base_name, std::nullopt); }
    /// Whether there is anything to write.
    bool changed() const { return !changes_.empty(); }

    /// f(name, entry) for every shard it knows, in the order of names.
    template <class F>
    void each(F f) const {
        auto at = lines_.begin();
        for (auto const& [name, change] : changes_) {
            for (; at != lines_.end() && at->name < name; ++at) f(at->name, at->marks);
            if (at != lines_.end() && at->name == name) ++at;
            if (change) f(std::string_view(name), *change);
        }
        for (; at != lines_.end(); ++at) f(at->name, at->marks);
    }
    std::size_t size() const {
        std::size_t n = 0;
        each([&](std::string_view, entry const&) { ++n; });
        return n;
    }
    /// Why an index file that exists was not used; empty when it was.
    std::string const& problem() const { return problem_; }
    /// Whether it was read from the file of older versions.
    bool old_name() const { return old_name_; }

    /// Why stat_of knows nothing of a file.
    static std::string absence(std::string const& path) {
        struct ::stat s {};
        if (::stat(path.c_str(), &s) == 0) return path + ": it came back while it was looked for";
        if (errno != ENOENT) return message(path, ": it cannot be looked up: ", std::strerror(errno));
        return path + ": no such file" + (path.starts_with("~") ? " (it is the shell that replaces ~: write ${HOME})" : path.starts_with("pipe:") ? " (commands behind pipe: are not run)" : "");
    }
    /// Length and time of change, samples and spots 0; nothing when the file cannot be looked up.
    static std::optional<entry> stat_of(std::string const& path) {
        struct ::stat s {};
        if (::stat(path.c_str(), &s) != 0) return std::nullopt;
        auto const marks = io::file_marks::of(s);
        return entry{0, marks.bytes, marks.mtime_ns, 0};
    }
    /// The same with the spots; the errors of open_file.
    static std::optional<entry> marks_of(std::string const& path) {
        auto marks = stat_of(path);
        if (marks) marks->spots = io::spot_sum(*io::open_file(path));
        return marks;
    }

private:
    static constexpr std::string_view magic = "penstock-index ";
    static constexpr int oldest = 2, newest = 3;  // 2 has no spots
    static constexpr std::uint64_t largest = std::uint64_t{1} << 32;

    struct line {
        std::string_view name;  // into text_
        entry marks;
    };

    /// Whether `path` is there and its content counts. Under the old name, which is that of a program too, a foreign file is as good as none.
    bool load(std::string const& path, bool old) {
        struct ::stat status {};
        if (::stat(path.c_str(), &status) != 0 && errno == ENOENT) return false;
        try {
            auto const file = io::open_file(path);
            auto const begins = file->peek(0, static_cast<std::size_t>((std::min<std::uint64_t>)(file->size(), magic.size())));
            if (!magic.starts_with(std::string_view(reinterpret_cast<char const*>(begins.data()), begins.size()))) {
                if (old) return false;
                foreign_ = path;
                problem_ = path + " is no index of penstock";
            } else if (file->size() > largest) problem_ = message(path, " has ", file->size(), " bytes; at most 4 GiB makes sense");
            else {
                text_ = file->read(0, static_cast<std::size_t>(file->size()));
                parse(path);
            }
        } catch (stage_error const& e) {
            if (old) return false;
            problem_ = e.what();
        }
        return true;
    }

    void parse(std::string const& path) {
        auto const whole = text_.text();
        auto rest = whole;
        std::size_t number = 0;
        auto const bad = [&](std::string_view why) { problem_ = message(path, ", line ", number, ": ", why); };
        auto row = std::string_view{};
        auto const take = [&] {
            auto const cut = rest.find('\n');
            if (cut == rest.npos) return false;
            row = rest.substr(0, cut);
            rest.remove_prefix(cut + 1);
            ++number;
            return true;
        };
        auto const integer = [&](auto& value) {
            auto const [end, why] = std::from_chars(row.data(), row.data() + row.size(), value);
            if (why != std::errc{}) return false;
            row.remove_prefix(static_cast<std::size_t>(end - row.data()));
            return true;
        };
        auto const space = [&] { return row.starts_with(' ') ? (row.remove_prefix(1), true) : false; };
        int version = 0;
        if (!take() || !row.starts_with(magic) || (row.remove_prefix(magic.size()), !integer(version)) || !row.empty() || version < oldest || version > newest)
            return bad(message("this is no index of version ", oldest, " or ", newest));
        lines_.reserve(whole.size() / 40);
        while (true) {
            auto const before = whole.size() - rest.size();
            if (!take()) break;
            if (row.starts_with("end ")) {
                row.remove_prefix(4);
                std::size_t lines = 0;
                std::uint32_t sum = 0;
                if (!integer(lines) || !space() || !integer(sum) || !row.empty() || lines != lines_.size() || !rest.empty()) return bad("the last line does not match the file");
                if (sum != io::crc32c(whole.data(), before)) bad("the file was changed: its checksum does not hold");
                return;
            }
            auto e = entry{};
            if (!integer(e.samples) || !space() || !integer(e.bytes) || !space() || !integer(e.mtime_ns) || !space() || (version > oldest && (!integer(e.spots) || !space())) || row.empty())
                return bad(version > oldest ? "expected 'samples bytes mtime_ns spots name'" : "expected 'samples bytes mtime_ns name'");
            if (!lines_.empty() && lines_.back().name >= row) return bad("the name is there twice, or not in order");
            lines_.push_back({row, e});
        }
        bad("the file is cut off");
    }

    blob text_{};                // what was read
    std::vector<line> lines_{};  // in the order of names
    std::map<std::string, std::optional<entry>, std::less<>> changes_{};  // since then; nothing: forgotten
    std::string problem_{}, foreign_{};
    bool old_name_ = false;
};

}  // namespace penstock
