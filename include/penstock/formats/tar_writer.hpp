// Implements: tar_writer, one shard from samples: plain ustar, the same bytes for the same samples, there only when complete.
#pragma once

#include <penstock/core/fields.hpp>         // defines: fields, blob
#include <penstock/formats/shard_block.hpp>  // defines: shard_block, shard_index, written_shard
#include <penstock/formats/tar_header.hpp>  // defines: tar_block, tar_padded
#include <penstock/formats/tar_name.hpp>    // defines: tar_name, ascii_lower
#include <penstock/io/atomic_file.hpp>      // defines: atomic_file

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace penstock {

namespace detail {

/// The header blocks of a member: one ustar block, and before it a pax record where the name or the size does not fit in one.
inline std::string tar_member_header(std::string_view name, std::uint64_t size, std::uint64_t mtime) {
    auto const block_of = [mtime](std::string_view prefix, std::string_view base, std::uint64_t length, char type) {
        auto block = std::string(tar_block, '\0');
        auto const put = [&](std::size_t at, std::string_view text) { block.replace(at, text.size(), text); };
        auto const octal = [&](std::size_t at, int digits, std::uint64_t value) {
            char text[24];
            std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
            put(at, text);
        };
        put(0, base);
        octal(100, 7, 0444);
        octal(108, 7, 0);
        octal(116, 7, 0);
        octal(124, 11, length);
        octal(136, 11, mtime);
        put(148, "        ");
        block[156] = type;
        put(257, std::string_view("ustar\00000", 8));
        put(265, "bigdata");
        put(297, "bigdata");
        octal(329, 7, 0);
        octal(337, 7, 0);
        put(345, prefix);
        std::uint64_t sum = 0;
        for (auto c : block) sum += static_cast<unsigned char>(c);
        octal(148, 6, sum);
        block[154] = '\0';
        return block;
    };
    auto const record = [](std::string_view key, std::string_view value) {
        auto const rest = 3 + key.size() + value.size();
        auto length = rest + 1;
        while (std::to_string(length).size() + rest != length) ++length;
        return message(length, ' ', key, '=', value, '\n');
    };

    auto prefix = std::string_view{};
    auto base = name;
    auto records = std::string{};
    if (name.size() > 100) {
        // The shortest prefix that leaves at most 100 bytes; the slash between is not stored.
        auto const slash = name.find('/', name.size() - 101);
        if (slash != name.npos && slash != 0 && slash <= 155 && slash + 1 < name.size()) {
            prefix = name.substr(0, slash);
            base = name.substr(slash + 1);
        } else {
            records += record("path", name);
            base = name.substr(name.size() - 100);
        }
    }
    constexpr auto largest = (std::uint64_t{1} << 33) - 1;  // 11 octal digits
    if (size > largest) records += record("size", std::to_string(size));
    auto result = std::string{};
    if (!records.empty()) {
        result = block_of({}, "././@PaxHeader", records.size(), 'x') + records;
        result.resize(tar_block + tar_padded(records.size()), '\0');
    }
    return result + block_of(prefix, base, size > largest ? 0 : size, '0');
}

}  // namespace detail

/// Fields are written in bytewise order of their extensions, mode 0444, owner 0. Names that a reader would take for something else are refused.
class tar_writer {
public:
    /// `checksums`: a shard_block with the place of every sample and a CRC-32C of every field is written beside the shard.
    explicit tar_writer(std::string path, std::uint64_t mtime = 0, bool checksums = false) : file_(std::move(path), "write_tar"), mtime_(mtime), block_(true), checksums_(checksums) {
        if (mtime > 077777777777) throw config_error(message("write_tar: mtime must fit in 33 bits, got ", mtime, "\n  HINT: it counts seconds since 1970; 0 keeps shards reproducible"));
    }

    /// A sample that is refused leaves the shard as it was.
    void add(std::string_view key, fields const& files) {
        auto order = std::vector<fields::field const*>{};
        for (auto const& f : files.all()) order.push_back(&f);
        std::sort(order.begin(), order.end(), [](auto const* a, auto const* b) { return a->name < b->name; });
        check(key, order);
        keys_.emplace(key);
        if (checksums_) {
            auto sums = std::vector<std::uint32_t>{};
            for (auto const* f : order) sums.push_back(io::crc32c(f->bytes.data(), f->bytes.size()));
            block_.add(file_.size(), sums);
        }
        for (auto const* f : order) {
            file_.write(detail::tar_member_header(message(key, '.', f->name), f->bytes.size(), mtime_));
            file_.write(f->bytes.text());
            zeros(detail::tar_padded(f->bytes.size()) - f->bytes.size());
        }
        ++samples_;
    }
    /// Ends the shard, puts it on disk and gives it its name.
    written_shard finish() {
        auto const end = file_.size();
        zeros(2 * detail::tar_block);
        constexpr std::uint64_t record = 10'240;
        zeros((record - file_.size() % record) % record);
        file_.commit();
        auto const written = io::open_file(file_.path());
        auto const now = io::file_marks::of(file_.file().status(file_.path()));
        auto const marks = shard_index::entry{samples_, now.bytes, now.mtime_ns, io::spot_sum(*written)};
        if (checksums_) block_.write(file_.path(), marks, end);
        return {file_.path(), marks.samples, marks.bytes, marks.mtime_ns, marks.spots};
    }

    std::uint64_t samples() const { return samples_; }
    std::uint64_t bytes() const { return file_.size(); }

private:
    void zeros(std::uint64_t n) {
        static constexpr char block[10'240] = {};
        file_.write({block, static_cast<std::size_t>(n)});
    }
    void check(std::string_view key, std::vector<fields::field const*> const& order) const {
        auto const refuse = [&](std::string const& rule, std::string_view hint) {
            throw stage_error("write_tar", fault::content, place{file_.path(), std::string(key.substr(0, key.find('\0'))), {}, {}}, rule, hint);
        };
        auto const base = key.substr(key.rfind('/') + 1);  // npos + 1 is 0
        if (base.empty()) refuse("the base name of a key must not be empty", "a key names the sample, such as '000123' or 'dir/000123'");
        if (base.find('.') != base.npos) refuse("the base name of a key must not contain '.'", "the first dot begins the extension; use '_' or '-'");
        if (key.find('\0') != key.npos) refuse("a key must not contain NUL", "tar names end at the first NUL");
        if (order.empty()) refuse("a sample needs at least one field", "it would vanish in the shard");
        if (keys_.contains(std::string(key))) refuse("the key was used before in this shard", "each sample of a shard needs its own key");
        for (std::size_t i = 0; i < order.size(); ++i) {
            auto const& ext = order[i]->name;
            auto const named = message("extension '", ext, "' ");
            if (ext.empty()) refuse("an extension must not be empty", "add(\"png\", bytes)");
            if (ext.starts_with('.')) {
                auto const bare = ext.find_first_not_of('.');
                refuse(message("the name of field '", ext, "' must not begin with a dot"),
                       bare == ext.npos ? std::string("the dot before it is written for you: add(\"png\", bytes)") : message("the dot before it is written for you: write add(\"", ext.substr(bare), "\", bytes)"));
            }
            if (ext != detail::ascii_lower(ext)) refuse(named + "must be in lower case", "readers compare extensions in lower case");
            if (ext.starts_with('_')) refuse(named + "must not start with '_'", "such names are reserved for metadata");
            if (ext.find('/') != ext.npos || ext.find('\0') != ext.npos) refuse(named + "must not contain '/' or NUL", "an extension is the end of a file name");
            if (i > 0 && order[i - 1]->name == ext) refuse(named + "is there twice", "each field of a sample needs its own extension");
            if (detail::tar_name::of(message(key, '.', ext)).kind != detail::tar_name::use::field)
                refuse(named + "makes a name that readers skip", "names or first directories of the form '__x__' are metadata");
        }
    }

    io::atomic_file file_;
    std::uint64_t mtime_;
    std::uint64_t samples_ = 0;
    std::unordered_set<std::string> keys_{};
    shard_block::writer block_;
    bool checksums_;
};

}  // namespace penstock
