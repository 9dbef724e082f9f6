// Implements: shard_block, the side file of one shard: where each sample begins, and a CRC-32C of each of its fields.
#pragma once

#include <penstock/formats/shard_index.hpp>  // defines: shard_index
#include <penstock/io/atomic_file.hpp>       // defines: atomic_file, if_busy, throw_errno
#include <penstock/io/crc32c.hpp>            // defines: crc32c
#include <penstock/io/open_file.hpp>         // defines: opener, open_file, byte_source

#include <sys/stat.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// `penstock-index.d/<shard>.block`, little-endian: a heading of 64 bytes (magic, bytes and mtime_ns of the shard, samples, fields, flags,
/// CRC-32C of what follows and of the heading), u64 offset[samples + 1], and with checksums u32 first_field[samples + 1], u32 crc[fields].
/// Like shard_index it replaces no check: it counts only while its shard has the length and time of change it was written for.
class shard_block {
public:
    static std::string directory_of(std::string const& shard) { return shard_index::split(shard).first + "penstock-index.d/"; }
    static std::string path_of(std::string const& shard) { return directory_of(shard) + shard_index::split(shard).second + ".block"; }

    std::uint64_t samples() const { return offsets_.empty() ? 0 : offsets_.size() / 8 - 1; }
    /// Where the first header of sample i lies; i == samples(): the end of the last member.
    std::uint64_t offset(std::uint64_t i) const { return load<std::uint64_t>(offsets_, i); }
    bool has_checksums() const { return (flags_ & checksummed) != 0; }
    /// Whether reading may begin at offset(i): not where a global pax header speaks for all members behind it.
    bool seekable() const { return (flags_ & global_headers) == 0; }
    /// Members of sample i that are fields, with checksums only.
    std::uint64_t fields(std::uint64_t i) const { return load<std::uint32_t>(firsts_, i + 1) - load<std::uint32_t>(firsts_, i); }
    std::uint32_t checksum(std::uint64_t i, std::uint64_t field) const { return load<std::uint32_t>(sums_, load<std::uint32_t>(firsts_, i) + field); }
    /// Length and time of change of the shard it was written for.
    shard_index::entry const& shard() const { return shard_; }

    /// Puts a block together while its shard is walked or written.
    class writer {
    public:
        explicit writer(bool checksums, bool globals = false) : flags_((checksums ? checksummed : 0) | (globals ? global_headers : 0)) {}
        /// The next sample begins at `offset`; `sums` has one number per field.
        void add(std::uint64_t offset, std::span<std::uint32_t const> sums) {
            offsets_.push_back(offset);
            if ((flags_ & checksummed) == 0) return;
            if (sums_.size() + sums.size() > (std::numeric_limits<std::uint32_t>::max)())
                throw stage_error("shard_block", fault::content, {}, "more than 2^32 - 1 fields in one shard", "write smaller shards");
            firsts_.push_back(static_cast<std::uint32_t>(sums_.size()));
            sums_.insert(sums_.end(), sums.begin(), sums.end());
        }
        void has_global_headers() { flags_ |= global_headers; }
        std::uint64_t samples() const { return offsets_.size(); }
        /// The block of a shard that has this length and time of change, and whose last member ends at `end`.
        std::string bytes(shard_index::entry const& marks, std::uint64_t end) const {
            auto out = std::string(heading_bytes, '\0');
            auto const put = [&](auto const& numbers, auto last) {
                out.append(reinterpret_cast<char const*>(numbers.data()), numbers.size() * sizeof(last));
                out.append(reinterpret_cast<char const*>(&last), sizeof last);
            };
            out.reserve(out.size() + offsets_.size() * 12 + sums_.size() * 4 + 16);
            put(offsets_, end);
            if ((flags_ & checksummed) != 0) {
                put(firsts_, static_cast<std::uint32_t>(sums_.size()));
                out.append(reinterpret_cast<char const*>(sums_.data()), sums_.size() * 4);
            }
            auto head = std::string(magic);
            auto const number = [&](auto n) { head.append(reinterpret_cast<char const*>(&n), sizeof n); };
            number(marks.bytes);
            number(marks.mtime_ns);
            number(std::uint64_t{offsets_.size()});
            number(std::uint64_t{sums_.size()});
            number(flags_);
            number(io::crc32c(out.data() + heading_bytes, out.size() - heading_bytes));
            head.resize(heading_bytes - 4, '\0');
            number(io::crc32c(head.data(), head.size()));
            return out.replace(0, heading_bytes, head);
        }
        /// Writes it beside `shard`, atomically.
        void write(std::string const& shard, shard_index::entry const& marks, std::uint64_t end) const {
            auto const directory = directory_of(shard);
            if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) io::throw_errno("shard_block", directory, "create the directory", errno);
            auto file = io::atomic_file(path_of(shard), "shard_block", io::if_busy::wait);
            file.write(bytes(marks, end));
            file.commit();
        }

    private:
        std::uint32_t flags_;
        std::vector<std::uint64_t> offsets_{};
        std::vector<std::uint32_t> firsts_{}, sums_{};
    };

    /// What the first bytes of a block tell, without the rest of it.
    struct heading {
        shard_index::entry shard{};  ///< length, time of change and samples of the shard it was written for
        std::uint64_t fields = 0;
        std::uint32_t flags = 0, body_checksum = 0, checksum = 0;

        bool has_checksums() const { return (flags & checksummed) != 0; }
        bool seekable() const { return (flags & global_headers) == 0; }
        /// Why it is not the block of a shard of this length, and of this time of change where that can be looked up; empty: it is.
        std::string stale(std::uint64_t shard_bytes, shard_index::entry const* now) const {
            if (shard_bytes != shard.bytes) return message("the shard has ", shard_bytes, " bytes, ", shard.bytes, " when it was indexed");
            if (now != nullptr && now->mtime_ns != shard.mtime_ns) return "the shard was changed after it was indexed";
            return {};
        }
    };
    /// Of the block `file`; the errors of read().
    static heading read_heading(io::byte_source& file) {
        if (file.size() < heading_bytes + 8) refuse(file.name(), message("a block has at least ", heading_bytes + 8, " bytes, this has ", file.size()));
        auto const head = heading_of(file.peek(0, heading_bytes), file.name());
        if (file.size() != bytes_of(head)) refuse(file.name(), message("its heading speaks of ", head.shard.samples, " samples, which its length of ", file.size(), " bytes contradicts"));
        return head;
    }
    /// Where sample i begins, and where it and what is skipped behind it ends, of a block whose heading was read.
    static std::pair<std::uint64_t, std::uint64_t> look(io::byte_source& file, std::uint64_t i) {
        auto const both = file.peek(heading_bytes + 8 * i, 16);
        return {load<std::uint64_t>(both, 0), load<std::uint64_t>(both, 1)};
    }

    /// The block of `shard` through `open`. stage_error when it is not there or cannot be read, and when it is no block, damaged, or of
    /// a shard of another length. `now`, where the shard can be looked up, must have the time of change too.
    static shard_block read(std::string const& shard, io::opener const& open, std::uint64_t shard_bytes, shard_index::entry const* now = nullptr) {
        return read_any(shard, open, [&](heading const& h) { return h.stale(shard_bytes, now); });
    }
    /// The bytes of a block; `path` is for messages.
    static shard_block parse(blob file, std::string const& path) {
        return parse(std::move(file), path, [](heading const&) { return std::string{}; });
    }
    /// The block of a shard that has become shorter since; nothing when there is none.
    static std::shared_ptr<shard_block const> of_longer(std::string const& shard, io::opener const& open, std::uint64_t shard_bytes) {
        try {
            return std::make_shared<shard_block const>(read_any(shard, open, [&](heading const& h) { return std::string(h.shard.bytes > shard_bytes ? "" : "the shard is not shorter"); }));
        } catch (stage_error const&) {
            return nullptr;
        }
    }

private:
    template <class Refusal>
    static shard_block read_any(std::string const& shard, io::opener const& open, Refusal refusal) {
        auto const path = path_of(shard);
        auto const source = open(path);
        return parse(source->read(0, static_cast<std::size_t>(source->size())), path, refusal);
    }
    template <class Refusal>
    static shard_block parse(blob file, std::string const& path, Refusal refusal) {
        auto const all = file.bytes();
        if (all.size() < heading_bytes + 8) refuse(path, message("a block has at least ", heading_bytes + 8, " bytes, this has ", all.size()));
        auto const head = heading_of(all, path);
        auto const n = head.shard.samples;
        if (all.size() != bytes_of(head)) refuse(path, message("its heading speaks of ", n, " samples, which its length of ", all.size(), " bytes contradicts"));
        auto const body = all.subspan(heading_bytes);
        if (head.body_checksum != io::crc32c(body.data(), body.size())) refuse(path, "the block is damaged: its checksum does not hold");
        if (auto const why = refusal(head); !why.empty()) refuse(path, why);
        auto b = shard_block{};
        b.shard_ = head.shard;
        b.flags_ = head.flags;
        auto const words = static_cast<std::size_t>(8 * (n + 1)), half = static_cast<std::size_t>(4 * (n + 1));
        bool const sums = b.has_checksums();
        b.offsets_ = body.first(words);
        if (sums) {
            b.firsts_ = body.subspan(words, half);
            b.sums_ = body.subspan(words + half);
        }
        b.file_ = std::move(file);
        for (std::uint64_t i = 0; i <= n; ++i) {
            bool const low = i != 0 && (b.offset(i) < b.offset(i - 1) || (sums && load<std::uint32_t>(b.firsts_, i) < load<std::uint32_t>(b.firsts_, i - 1)));
            if (low || b.offset(i) > b.shard_.bytes || (sums && load<std::uint32_t>(b.firsts_, i) > head.fields)) refuse(path, message("its numbers make no sense at sample ", i));
        }
        return b;
    }
    /// `all` has the heading at least.
    static heading heading_of(std::span<std::byte const> all, std::string const& path) {
        if (std::memcmp(all.data(), magic.data(), magic.size()) != 0) refuse(path, "this is no block of version 2");
        auto const own = load<std::uint32_t>(all.subspan(heading_bytes - 4), 0);
        if (own != io::crc32c(all.data(), heading_bytes - 4)) refuse(path, "the heading is damaged: its checksum does not hold");
        auto const head = heading{{load<std::uint64_t>(all, 3), load<std::uint64_t>(all, 1), load<std::int64_t>(all, 2)}, load<std::uint64_t>(all, 4), load<std::uint32_t>(all, 10), load<std::uint32_t>(all, 11), own};
        constexpr auto most = std::uint64_t{1} << 40;
        if (head.shard.samples > most || head.fields > most) refuse(path, message("its heading speaks of ", head.shard.samples, " samples and ", head.fields, " fields"));
        return head;
    }
    static std::uint64_t bytes_of(heading const& h) { return heading_bytes + 8 * (h.shard.samples + 1) + (h.has_checksums() ? 4 * (h.shard.samples + 1) + 4 * h.fields : 0); }
    [[noreturn]] static void refuse(std::string const& path, std::string const& why) {
        throw stage_error("shard_block", fault::content, place{path, {}, {}, {}}, why, "write it again: penstock-index build --crc");
    }

    static constexpr std::string_view magic = "pnstckB2";
    static constexpr std::size_t heading_bytes = 64;
    static constexpr std::uint32_t checksummed = 1, global_headers = 2;
    static_assert(std::endian::native == std::endian::little, "blocks are written in the machine's own order, which must be little-endian");

    template <class T>
    static T load(std::span<std::byte const> from, std::uint64_t i) {
        T value;
        std::memcpy(&value, from.data() + i * sizeof(T), sizeof(T));
        return value;
    }

    blob file_{};
    std::span<std::byte const> offsets_{}, firsts_{}, sums_{};
    std::uint32_t flags_ = 0;
    shard_index::entry shard_{};
};

}  // namespace penstock
