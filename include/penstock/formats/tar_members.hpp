// Implements: tar_members, the members of a tar one after another: long names, pax records, the end marker, every kind of damage.
#pragma once

#include <penstock/formats/damage.hpp>      // defines: damaged_shard, damage
#include <penstock/formats/tar_allow.hpp>   // defines: tar_allow, left_out, rule_of
#include <penstock/formats/tar_header.hpp>  // defines: tar_header, tar_number, tar_block, tar_padded
#include <penstock/io/byte_source.hpp>      // defines: byte_source

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::detail {

struct tar_member {
    std::string name{};
    char type = '0';           ///< '7' and NUL are '0' already; a V7 name that ends in '/' is a directory, '5'
    std::uint64_t header = 0;  ///< offset of its first header, extension headers included
    std::uint64_t data = 0;
    std::uint64_t size = 0;
    bool cut = false;     ///< the file ends before its data and padding do
    bool border = false;  ///< an end marker lies before it
};

/// Reads headers only. `next` throws damaged_shard once and then stays at the end; an I/O error leaves it where it was, so that the same
/// call may be tried again.
class tar_members {
public:
    /// `from` is the offset of a member's first header; `told` hears of what is left out because it is allowed.
    explicit tar_members(std::shared_ptr<io::byte_source> source, tar_allow allow = {}, std::function<void(left_out const&)> told = {}, std::uint64_t from = 0)
        : source_(std::move(source)), allow_(allow), told_(std::move(told)), at_(from) {}

    /// Fills `m`; false at the end of the archive.
    bool next(tar_member& m) {
        if (ended_) return false;
        try {
            if (at_ == 0) check_start();
            return read_member(m);
        } catch (damaged_shard const&) {
            source_->verify();  // a file that shrank is the cause, not the damage it looks like
            ended_ = true;
            throw;
        }
    }

    /// Damage that waits until the sample before it was given.
    [[noreturn]] void throw_cut(tar_member const& m, std::string_view key) {
        source_->verify();
        ended_ = true;
        throw error(damage::truncated, m.header, key,
                    message("the file ends inside '", m.name, "': ", number_of(m.size, "byte"), " and padding were due, there are ", source_->size() - m.data));
    }
    /// Tells of what is left out; an error where that is not allowed.
    void leave_out(left_out::kind what, std::uint64_t byte, std::string_view key, std::string const& text) const {
        auto const& rule = rule_of(what);
        if (!allows(what)) throw damaged_shard("read_tar", rule.otherwise, place{source_->name(), std::string(key), byte, {}}, text, rule.hint);
        if (told_) told_({what, place{source_->name(), {}, byte, {}}, text});
    }
    bool allows(left_out::kind what) const { return allow_.*rule_of(what).allowed; }

    /// Makes an error that says where; the walker uses it for damage it finds itself.
    damaged_shard error(damage what, std::uint64_t byte, std::string_view key, std::string_view cause) const {
        return {"read_tar", what, place{source_->name(), std::string(key), byte, {}}, cause, hint(what)};
    }
    /// Where the next header is due.
    std::uint64_t offset() const { return at_; }
    void end() { ended_ = true; }
    /// Goes on at a member's first header.
    void jump(std::uint64_t byte) {
        at_ = byte;
        ended_ = false;
    }
    bool global_headers() const { return saw_global_; }

private:
    static constexpr std::uint64_t longest_extension = 1 << 20;
    static constexpr int longest_chain = 8;

    struct overrides {
        std::optional<std::string> pax_path, gnu_path;
        std::optional<std::uint64_t> pax_size;
        bool drop_global_path = false, drop_global_size = false;  // an empty value in `x` deletes what `g` said
        std::optional<std::string> sparse{}, sparse_name{};  // the first record that says so; the name of the file itself, if one says it
        bool has_long_link = false;
        int chain = 0;
    };

    bool read_member(tar_member& m) {
        auto at = at_;
        auto more = overrides{};
        auto global_path = global_path_;  // committed with the member: a repeated call parses the chain again
        auto global_size = global_size_;
        while (true) {
            auto const block = header_at(at, more.chain != 0);
            if (block.empty()) {
                auto const archive = behind_end(at);
                if (!archive) {
                    ended_ = true;
                    return false;
                }
                at_ = at = *archive;
                border_ = true;
                global_path_ = global_path = {};
                global_size_ = global_size = {};
                continue;
            }
            auto const header = tar_header(block);
            if (!header.checksum_holds()) throw error(damage::bad_header, at, {}, "the header's checksum does not hold");
            auto const size = header.size();
            if (!size) throw error(damage::bad_header, at, {}, "the size field of the header is not a number below 2^63");
            auto const type = header.type();
            if (type == 'L' || type == 'K' || type == 'x' || type == 'X' || type == 'g') {
                if (++more.chain > longest_chain) throw error(damage::bad_header, at, {}, "more than 8 extension headers in a row");
                if (*size > longest_extension)
                    throw error(damage::bad_header, at, {}, message("an extension header of ", *size, " bytes; at most 1 MiB makes sense"));
                extension(type, at, *size, more, global_path, global_size);
                saw_global_ = saw_global_ || type == 'g';
                at += tar_block + tar_padded(*size);
                continue;
            }
            fill(m, header, *size, at, more, global_path, global_size);
            at_ = m.cut ? source_->size() : m.data + (has_data(m.type) ? tar_padded(m.size) : 0);
            global_path_ = std::move(global_path);
            global_size_ = global_size;
            m.border = std::exchange(border_, false);
            return true;
        }
    }

    void fill(tar_member& m, tar_header const& header, std::uint64_t size, std::uint64_t at, overrides& more,
              std::optional<std::string> const& global_path, std::optional<std::uint64_t> global_size) {
        m.type = header.type() == '\0' || header.type() == '7' ? '0' : header.type();
        m.header = at_;
        m.data = at + tar_block;
        if (more.pax_path) m.name = std::move(*more.pax_path);
        else if (global_path && !more.drop_global_path) m.name = *global_path;
        else if (more.gnu_path) m.name = std::move(*more.gnu_path);
        else header.name(m.name);
        m.size = more.pax_size ? *more.pax_size : global_size && !more.drop_global_size ? *global_size : size;
        if (m.type == '0' && m.name.ends_with('/') && (m.size == 0 || header.v7())) m.type = '5';
        if (more.sparse) throw unsupported(at, more.sparse_name ? *more.sparse_name : m.name, message("is part of a sparse file (", *more.sparse, ")"));
        if (m.type == 'S') throw unsupported(at, m.name, "is a sparse file");
        if (m.type == 'M') throw unsupported(at, m.name, "continues from another volume");
        if (m.type == '1' && m.size > 0) throw unsupported(at, m.name, "is a hard link with data; whether blocks follow is ambiguous");
        m.cut = has_data(m.type) && tar_padded(m.size) > source_->size() - m.data;
    }

    /// The block at `at`; empty at a proper end of the archive.
    std::span<std::byte const> header_at(std::uint64_t at, bool in_chain) {
        auto const left = source_->size() - at;
        if (left < tar_block) {
            if (in_chain) throw error(damage::truncated, at, {}, "the file ends after an extension header");
            if (left != 0) throw error(damage::truncated, at, {}, message("the file ends inside a header, ", left, " of 512 bytes are there"));
            return finish_without_marker(at, "the file ends without the end marker (two zero blocks)");
        }
        auto const block = source_->peek(at, tar_block);
        if (!tar_header(block).zero()) return block;
        if (in_chain) throw error(damage::bad_header, at, {}, "an extension header is followed by no member");
        if (left < 2 * tar_block) return finish_without_marker(at, "the file ends inside the end marker, which is two zero blocks");
        if (!tar_header(source_->peek(at + tar_block, tar_block)).zero())
            throw error(damage::bad_end, at, {}, "one zero block with more behind it; the end marker is two of them");
        return finish();
    }
    std::span<std::byte const> finish() {
        source_->verify();
        return {};
    }
    std::span<std::byte const> finish_without_marker(std::uint64_t at, std::string const& text) {
        leave_out(left_out::kind::missing_end, at, {}, text);
        return finish();
    }
    /// Where the next archive begins behind the end marker at `at`; nothing: zeros to the end of the file, or what is left out.
    std::optional<std::uint64_t> behind_end(std::uint64_t at) {
        constexpr std::uint64_t piece = 64 << 10;
        auto const size = source_->size();
        for (at = (std::min)(at + 2 * tar_block, size); at < size;) {
            auto const bytes = source_->peek(at, static_cast<std::size_t>((std::min)(size - at, piece)));
            auto const used = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{}; });
            if (used == bytes.end()) {
                at += bytes.size();
                continue;
            }
            at += static_cast<std::uint64_t>(used - bytes.begin()) / tar_block * tar_block;
            bool const archive = size - at >= tar_block && tar_header(source_->peek(at, tar_block)).checksum_holds();
            if (archive && (allow_.joined || !allow_.trailing)) {
                leave_out(left_out::kind::joined, at, {}, "another archive begins behind the end marker");
                return at;
            }
            leave_out(left_out::kind::trailing, at, {}, message("not only zeros lie behind the end marker, but ", number_of(size - at, "byte"), archive ? " of another archive" : " of something else"));
            break;
        }
        return std::nullopt;
    }

    void extension(char type, std::uint64_t at, std::uint64_t size, overrides& more, std::optional<std::string>& global_path,
                   std::optional<std::uint64_t>& global_size) {
        if (tar_padded(size) > source_->size() - at - tar_block) throw error(damage::truncated, at, {}, "the file ends inside an extension header");
        auto const bytes = source_->peek(at + tar_block, static_cast<std::size_t>(size));
        auto const text = std::string_view(reinterpret_cast<char const*>(bytes.data()), bytes.size());
        if (type == 'L' || type == 'K') {
            auto const value = text.substr(0, text.find('\0'));
            if (value.empty()) throw error(damage::bad_header, at, {}, "an empty GNU long name");
            if (type == 'L' ? more.gnu_path.has_value() : std::exchange(more.has_long_link, true))
                throw error(damage::bad_header, at, {}, "two GNU long names for one member");
            if (type == 'L') more.gnu_path = value;
            return;
        }
        pax_records(text, at, [&](std::string_view key, std::string_view value) {
            if (key.starts_with("GNU.sparse.")) {
                if (!more.sparse) more.sparse = key;
                if (key == "GNU.sparse.name") more.sparse_name = value;
            } else if (key == "path") {
                if (value.find('\0') != value.npos) throw error(damage::bad_header, at, {}, "a pax path that contains NUL");
                auto& path = type == 'g' ? global_path : more.pax_path;
                if (value.empty()) path.reset();
                else path = value;
                if (type != 'g') more.drop_global_path = value.empty();
            } else if (key == "size") {
                auto& number = type == 'g' ? global_size : more.pax_size;
                if (value.empty()) number.reset();
                else number = decimal(value, at);
                if (type != 'g') more.drop_global_size = value.empty();
            }
        });
    }

    /// Records "LEN KEY=VALUE\n", LEN counting itself. No checksum covers them, so each must close exactly.
    template <class F>
    void pax_records(std::string_view text, std::uint64_t at, F f) const {
        while (!text.empty()) {
            std::size_t length = 0;
            auto const [end, why] = std::from_chars(text.data(), text.data() + text.size(), length);
            auto const digits = static_cast<std::size_t>(end - text.data());
            if (why != std::errc{} || length > text.size() || length < digits + 3 || text[digits] != ' ' || text[length - 1] != '\n')
                throw error(damage::bad_header, at, {}, "a pax record whose length does not lead to its line end");
            auto const record = text.substr(digits + 1, length - digits - 2);
            auto const equals = record.find('=');
            if (equals == record.npos || equals == 0) throw error(damage::bad_header, at, {}, "a pax record without KEY=VALUE");
            f(record.substr(0, equals), record.substr(equals + 1));
            text.remove_prefix(length);
        }
    }
    std::uint64_t decimal(std::string_view value, std::uint64_t at) const {
        std::int64_t number = 0;
        auto const [end, why] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (why != std::errc{} || end != value.data() + value.size() || number < 0)
            throw error(damage::bad_header, at, {}, message("a pax size that is no number below 2^63: '", value.substr(0, 40), "'"));
        return static_cast<std::uint64_t>(number);
    }

    void check_start() {
        auto const size = source_->size();
        if (size == 0) {
            source_->verify();
            throw error(damage::empty, 0, {}, "the file has no bytes");
        }
        auto const bytes = source_->peek(0, static_cast<std::size_t>((std::min<std::uint64_t>)(size, 6)));
        auto const text = std::string_view(reinterpret_cast<char const*>(bytes.data()), bytes.size());
        auto const kinds = std::array<std::pair<std::string_view, std::string_view>, 4>{
            {{"\x1f\x8b", "gzip"}, {"BZh", "bzip2"}, {std::string_view("\xfd" "7zXZ\0", 6), "xz"}, {"\x28\xb5\x2f\xfd", "zstd"}}};
        if (text.size() >= 4 && text[0] >= '\x50' && text[0] <= '\x5f' && text.substr(1, 3) == "\x2a\x4d\x18")
            throw error(damage::compressed, 0, {}, "the shard is compressed with zstd or lz4 (it begins with a frame to skip), and this reader takes plain tar only");
        for (auto const& [magic, name] : kinds)
            if (text.starts_with(magic)) throw error(damage::compressed, 0, {}, message("the shard is compressed with ", name, ", and this reader takes plain tar only"));
    }

    static bool has_data(char type) { return type < '1' || type > '6'; }
    damaged_shard unsupported(std::uint64_t at, std::string_view name, std::string_view why) const {
        return error(damage::unsupported, at, {}, message("member '", name.substr(0, 200), "' ", why));
    }
    static std::string_view hint(damage what) {
        switch (what) {
            case damage::truncated:
            case damage::missing_end: return "the shard is incomplete: copy or download it again";
            case damage::compressed: return "unpack it first (gzip -d, xz -d, zstd -d): plain shards can be read from any sample on";
            case damage::unsupported: return "write the shard again without --sparse and --multi-volume";
            case damage::duplicate_field: return "each file of a sample needs its own extension, compared in lower case";
            case damage::reserved_field: return "extensions that start with two underscores are reserved; rename the member";
            case damage::returning_key: return "files of one sample must follow each other; sort the shard by name";
            case damage::index_mismatch: return "the shard was rewritten after it was indexed: remove the index, or name the old shard";
            default: return "write the shard again from its source";
        }
    }

    std::shared_ptr<io::byte_source> source_;
    tar_allow allow_;
    std::function<void(left_out const&)> told_;
    bool ended_ = false, saw_global_ = false;
    bool border_ = false;  // an end marker was passed since the last member
    std::uint64_t at_;
    std::optional<std::string> global_path_{};
    std::optional<std::uint64_t> global_size_{};
};

}  // namespace penstock::detail
