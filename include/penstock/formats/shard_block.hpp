// Implements: shard_block, the side file of one shard: where each sample begins, and a CRC-32C of each of its fields.
#pragma once

#include <penstock/formats/shard_index.hpp>  // defines: shard_index
#include <penstock/io/atomic_file.hpp>       // defines: atomic_file, if_busy, throw_errno
#include <penstock/io/crc32c.hpp>            // defines: crc32c
#include <penstock/io/open_file.hpp>         // defines: opener, open_file, byte_source
#include <penstock/io/spot_sum.hpp>          // defines: spot_sum

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// `.penstock-index.d/<shard>.block`, little-endian: a heading of 64 bytes (magic, bytes and mtime_ns of the shard, samples, fields, flags,
/// CRC-32C of what follows, spots of the shard, and CRC-32C of the heading), u64 offset[samples + 1], and with checksums u32 first_field[samples + 1],
/// u32 crc[fields]. Like shard_index it replaces no check. It counts only while its shard has the length, and the time of change or the spots, that it
/// was written for; what is read by it is compared with it: where a sample lies and ends, and with `verify`, whatever the time, every byte of its fields.
///
/// Older versions called the directory `penstock-index.d`. A block there is read where there is none under the new name, and never written again.
class shard_block {
public:
    static std::string directory_of(std::string const& shard) { return shard_index::split(shard).first + ".penstock-index.d/"; }
    static std::string path_of(std::string const& shard) { return directory_of(shard) + shard_index::split(shard).second + ".block"; }
    static std::string old_path_of(std::string const& shard) {
        auto const [directory, base] = shard_index::split(shard);
        return directory + "penstock-index.d/" + base + ".block";
    }
    /// Whether a local shard has a block of either name.
    static bool there(std::string const& shard) { return shard_index::stat_of(path_of(shard)) || shard_index::stat_of(old_path_of(shard)); }
    /// The file of the block, under the old name only where it cannot be opened under the new one; the error is that of the new one.
    static std::shared_ptr<io::byte_source> open_block(std::string const& shard, io::opener const& opener) {
        try {
            return opener(path_of(shard));
        } catch (stage_error const&) {
            auto const first = std::current_exception();
            try {
                return opener(old_path_of(shard));
            } catch (stage_error const&) {
                std::rethrow_exception(first);
            }
        }
    }
    /// Removes the blocks of a local shard, under both names, where they are blocks.
    static void remove(std::string const& shard) {
        for (auto const& path : {path_of(shard), old_path_of(shard)})
            if (state_of(path) == written::by_us) ::unlink(path.c_str());
    }

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
        /// The block of a shard that has these marks, and whose last member ends at `end`.
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
            number(marks.spots);
            head.resize(heading_bytes - 4, '\0');
            number(io::crc32c(head.data(), head.size()));
            return out.replace(0, heading_bytes, head);
        }
        /// Writes it beside `shard`, atomically.
        void write(std::string const& shard, shard_index::entry const& marks, std::uint64_t end) const { put(shard, bytes(marks, end)); }

    private:
        std::uint32_t flags_;
        std::vector<std::uint64_t> offsets_{};
        std::vector<std::uint32_t> firsts_{}, sums_{};
    };

    /// What the first bytes of a block tell, without the rest of it.
    struct heading {
        shard_index::entry shard{};  ///< samples, length, time of change and spots of the shard it was written for
        std::uint64_t fields = 0;
        std::uint32_t flags = 0, body_checksum = 0, checksum = 0;

        bool has_checksums() const { return (flags & checksummed) != 0; }
        bool seekable() const { return (flags & global_headers) == 0; }
        /// Why it is not the block of `path`, of this length and, where that can be looked up, as it is `now`; empty: it is. Where only the time of
        /// change differs, the spots of the shard are read.
        std::string stale(std::string const& path, io::opener const& open, std::uint64_t shard_bytes, shard_index::entry const* now) const {
            if (shard_bytes != shard.bytes) return message("the shard has ", number_of(shard_bytes, "byte"), ", ", shard.bytes, " when it was indexed");
            if (now == nullptr || now->mtime_ns == shard.mtime_ns) return {};
            if (shard.spots == 0) return "the shard has another time of change than when it was indexed";
            return io::spot_sum(*open(path)) == shard.spots ? std::string{} : "the shard was changed after it was indexed";
        }
    };
    /// Of the block `file`; the errors of read().
    static heading read_heading(io::byte_source& file) {
        if (file.size() < heading_bytes + 8) refuse(file.name(), message("a block has at least ", heading_bytes + 8, " bytes, this one ", file.size()));
        auto const head = heading_of(file.peek(0, heading_bytes), file.name());
        if (file.size() != bytes_of(head)) refuse(file.name(), message("its heading speaks of ", number_of(head.shard.samples, "sample"), ", which its length of ", file.size(), " bytes contradicts"));
        return head;
    }
    /// Where sample i begins, and where it and what is skipped behind it ends, of a block whose heading was read.
    static std::pair<std::uint64_t, std::uint64_t> look(io::byte_source& file, std::uint64_t i) {
        auto const both = file.peek(heading_bytes + 8 * i, 16);
        return {load<std::uint64_t>(both, 0), load<std::uint64_t>(both, 1)};
    }

    /// The block of `shard` through `open`. stage_error when it is not there or cannot be read, and when it is no block, damaged, or of
    /// a shard of another length. With `now`, as the shard can be looked up, its time of change or its spots must be the same too.
    static shard_block read(std::string const& shard, io::opener const& open, std::uint64_t shard_bytes, shard_index::entry const* now = nullptr) {
        return read_any(shard, open, [&](heading const& h) { return h.stale(shard, open, shard_bytes, now); });
    }
    /// Gives the block of a local shard the time of change and the spots of `now`, under the new name: for a shard that is still the same.
    static void renew(std::string const& shard, shard_index::entry const& now) {
        auto const source = open_block(shard, io::file_opener());
        auto bytes = std::string(source->read(0, static_cast<std::size_t>(source->size())).text());
        (void)parse(blob::of(bytes), source->name());
        std::memcpy(bytes.data() + 2 * 8, &now.mtime_ns, sizeof now.mtime_ns);
        std::memcpy(bytes.data() + 12 * 4, &now.spots, sizeof now.spots);
        auto const own = io::crc32c(bytes.data(), heading_bytes - 4);
        std::memcpy(bytes.data() + heading_bytes - 4, &own, sizeof own);
        put(shard, bytes);
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
    enum class written { not_there, by_us, by_others };
    /// Whose the file is, by its first bytes.
    static written state_of(std::string const& path) {
        if (!shard_index::stat_of(path)) return written::not_there;
        auto const file = io::open_file(path);
        auto const begins = file->peek(0, static_cast<std::size_t>((std::min<std::uint64_t>)(file->size(), kind.size())));
        return kind.starts_with(std::string_view(reinterpret_cast<char const*>(begins.data()), begins.size())) ? written::by_us : written::by_others;
    }
    static void put(std::string const& shard, std::string const& bytes) {
        auto const directory = directory_of(shard);
        auto const path = path_of(shard);
        if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) io::throw_errno("shard_block", directory, "create the directory", errno);
        auto file = io::atomic_file(path, "shard_block", io::if_busy::wait);
        if (state_of(path) == written::by_others)
            throw stage_error("shard_block", fault::content, place{path, {}, {}, {}}, "this is no block of penstock, and a block cannot be kept under another name", "move the file away; a pipeline goes without an index by .write_index = false");
        file.write(bytes);
        file.commit();
    }
    template <class Refusal>
    static shard_block read_any(std::string const& shard, io::opener const& open, Refusal refusal) {
        auto const source = open_block(shard, open);
        return parse(source->read(0, static_cast<std::size_t>(source->size())), source->name(), refusal);
    }
    template <class Refusal>
    static shard_block parse(blob file, std::string const& path, Refusal refusal) {
        auto const all = file.bytes();
        if (all.size() < heading_bytes + 8) refuse(path, message("a block has at least ", heading_bytes + 8, " bytes, this one ", all.size()));
        auto const head = heading_of(all, path);
        auto const n = head.shard.samples;
        if (all.size() != bytes_of(head)) refuse(path, message("its heading speaks of ", number_of(n, "sample"), ", which its length of ", all.size(), " bytes contradicts"));
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
        auto const head = heading{{load<std::uint64_t>(all, 3), load<std::uint64_t>(all, 1), load<std::int64_t>(all, 2), load<std::uint32_t>(all, 12)}, load<std::uint64_t>(all, 4), load<std::uint32_t>(all, 10), load<std::uint32_t>(all, 11), own};
        constexpr auto most = std::uint64_t{1} << 40;
        if (head.shard.samples > most || head.fields > most) refuse(path, message("its heading speaks of ", head.shard.samples, " samples and ", head.fields, " fields"));
        return head;
    }
    static std::uint64_t bytes_of(heading const& h) { return heading_bytes + 8 * (h.shard.samples + 1) + (h.has_checksums() ? 4 * (h.shard.samples + 1) + 4 * h.fields : 0); }
    [[noreturn]] static void refuse(std::string const& path, std::string const& why) {
        throw stage_error("shard_block", fault::content, place{path, {}, {}, {}}, why, "write it again: penstock-index build --crc");
    }

    static constexpr std::string_view kind = "pnstckB", magic = "pnstckB2";
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
