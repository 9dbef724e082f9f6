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
        /// Writes the block of `shard`, which has this length and time of change; atomically.
        void write(std::string const& shard, shard_index::entry const& marks, std::uint64_t end) const {
            auto body = std::string{};
            auto const put = [&](auto const& numbers, auto last) {
                body.append(reinterpret_cast<char const*>(numbers.data()), numbers.size() * sizeof(last));
                body.append(reinterpret_cast<char const*>(&last), sizeof last);
            };
            body.reserve(offsets_.size() * 12 + sums_.size() * 4 + 16);
            put(offsets_, end);
            if ((flags_ & checksummed) != 0) {
                put(firsts_, static_cast<std::uint32_t>(sums_.size()));
                body.append(reinterpret_cast<char const*>(sums_.data()), sums_.size() * 4);
            }
            auto head = std::string(magic);
            auto const number = [&](auto n) { head.append(reinterpret_cast<char const*>(&n), sizeof n); };
            number(marks.bytes);
            number(marks.mtime_ns);
            number(std::uint64_t{offsets_.size()});
            number(std::uint64_t{sums_.size()});
            number(flags_);
            number(io::crc32c(body.data(), body.size()));
            head.resize(heading - 4, '\0');
            number(io::crc32c(head.data(), head.size()));
            auto const directory = directory_of(shard);
            if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) io::throw_errno("shard_block", directory, "create the directory", errno);
            auto file = io::atomic_file(path_of(shard), "shard_block", io::if_busy::wait);
            file.write(head);
            file.write(body);
            file.commit();
        }

    private:
        std::uint32_t flags_;
        std::vector<std::uint64_t> offsets_{};
        std::vector<std::uint32_t> firsts_{}, sums_{};
    };

    /// The block of `shard` through `open`. stage_error when it is not there or cannot be read, and when it is no block, damaged, or of
    /// a shard of another length. `now`, where the shard can be looked up, must have the time of change too.
    static shard_block read(std::string const& shard, io::opener const& open, std::uint64_t shard_bytes, shard_index::entry const* now = nullptr) {
        return read_any(shard, open, [&](shard_block const& b) -> std::string {
            if (shard_bytes != b.shard_.bytes) return message("the shard has ", shard_bytes, " bytes, ", b.shard_.bytes, " when it was indexed");
            if (now != nullptr && now->mtime_ns != b.shard_.mtime_ns) return "the shard was changed after it was indexed";
            return {};
        });
    }
    /// The block of a shard that has become shorter since; nothing when there is none.
    static std::shared_ptr<shard_block const> of_longer(std::string const& shard, io::opener const& open, std::uint64_t shard_bytes) {
        try {
            return std::make_shared<shard_block const>(read_any(shard, open, [&](shard_block const& b) { return std::string(b.shard_.bytes > shard_bytes ? "" : "the shard is not shorter"); }));
        } catch (stage_error const&) {
            return nullptr;
        }
    }

private:
    template <class Refusal>
    static shard_block read_any(std::string const& shard, io::opener const& open, Refusal refusal) {
        auto const path = path_of(shard);
        auto const source = open(path);
        auto const refuse = [&](std::string const& why) {
            throw stage_error("shard_block", fault::content, place{path, {}, {}, {}}, why, "write it again: penstock-index build --crc");
        };
        auto const size = source->size();
        if (size < heading + 8) refuse(message("a block has at least ", heading + 8, " bytes, this has ", size));
        auto const file = source->read(0, static_cast<std::size_t>(size));
        auto const all = file.bytes();
        auto b = shard_block{};
        if (file.text().substr(0, 8) != magic) refuse("this is no block of version 2");
        if (load<std::uint32_t>(all.subspan(heading - 4), 0) != io::crc32c(all.data(), heading - 4)) refuse("the heading is damaged: its checksum does not hold");
        b.file_ = file;
        b.shard_ = {0, load<std::uint64_t>(all, 1), load<std::int64_t>(all, 2)};
        auto const n = b.shard_.samples = load<std::uint64_t>(all, 3), fields = load<std::uint64_t>(all, 4);
        b.flags_ = load<std::uint32_t>(all, 10);
        auto const body = all.subspan(heading);
        constexpr auto most = std::uint64_t{1} << 40;
        bool const sums = b.has_checksums();
        if (n > most || fields > most || body.size() != 8 * (n + 1) + (sums ? 4 * (n + 1) + 4 * fields : 0)) refuse(message("its heading speaks of ", n, " samples, which its length of ", size, " bytes contradicts"));
        if (load<std::uint32_t>(all, 11) != io::crc32c(body.data(), body.size())) refuse("the block is damaged: its checksum does not hold");
        if (auto const why = refusal(std::as_const(b)); !why.empty()) refuse(why);
        auto const words = static_cast<std::size_t>(8 * (n + 1)), half = static_cast<std::size_t>(4 * (n + 1));
        b.offsets_ = body.first(words);
        if (sums) {
            b.firsts_ = body.subspan(words, half);
            b.sums_ = body.subspan(words + half);
        }
        for (std::uint64_t i = 0; i <= n; ++i) {
            bool const low = i != 0 && (b.offset(i) < b.offset(i - 1) || (sums && load<std::uint32_t>(b.firsts_, i) < load<std::uint32_t>(b.firsts_, i - 1)));
            if (low || b.offset(i) > b.shard_.bytes || (sums && load<std::uint32_t>(b.firsts_, i) > fields)) refuse(message("its numbers make no sense at sample ", i));
        }
        return b;
    }

    static constexpr std::string_view magic = "pnstckB2";
    static constexpr std::size_t heading = 64;
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
