// Implements: read_side_index, the samples of a shard by the index that another tool left beside it: DALI's .idx v1.1 and v1.2, Energon's .tar.idx.
#pragma once

#include <penstock/formats/shard_index.hpp>  // defines: shard_index
#include <penstock/formats/tar_header.hpp>   // defines: tar_header, tar_block, tar_padded
#include <penstock/io/open_file.hpp>         // defines: open_file

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace penstock {

/// Reads one side file and compares it with its shard: offsets that ascend in blocks, the last of them where the shard ends or goes on with
/// another header. What the answer lacks, `reason` tells; nothing is thrown, because a file of that name may be anything.
class side_index {
public:
    /// Of `shard`, by whichever of shard.tar.idx (Energon) and shard.idx (DALI) is there; an empty reason when none is.
    static shard_index::answer look(std::string const& shard) {
        auto result = shard_index::answer{};
        auto const dot = shard.ends_with(".tar") ? shard.substr(0, shard.size() - 4) + ".idx" : std::string{};
        for (auto const& path : {shard + ".idx", dot}) {
            if (path.empty() || !shard_index::stat_of(path)) continue;
            try {
                return {read(path, shard), {}};
            } catch (stage_error const& e) {
                if (result.reason.empty()) result.reason = e.what();
            }
        }
        return result;
    }

    /// The samples that `path` lists for `shard`. stage_error when it is no index of these two forms, or not of this shard.
    static std::uint64_t read(std::string const& path, std::string const& shard) {
        auto const file = io::open_file(path);
        auto const size = file->size();
        auto const tar = io::open_file(shard);
        if (size > (std::uint64_t{1} << 32)) refuse(path, "it has more than 4 GiB");
        auto const bytes = file->read(0, static_cast<std::size_t>(size));
        if (bytes.text().starts_with("v1.")) return dali(path, bytes.text(), *tar);
        return energon(path, bytes, *tar);
    }

private:
    static constexpr std::uint64_t block = detail::tar_block;

    [[noreturn]] static void refuse(std::string const& path, std::string const& why) {
        throw stage_error("side_index", fault::content, place{path, {}, {}, {}}, why, "make the index again, or remove it to have the shard counted");
    }
    /// Behind the last member comes the end marker, or a member the index does not list.
    static void check_end(std::string const& path, io::byte_source& tar, std::uint64_t end) {
        if (end > tar.size() || tar.size() - end < block) {
            if (end != tar.size()) refuse(path, message("its last member ends at byte ", end, ", the shard has ", tar.size()));
            return;  // no end marker
        }
        auto const header = detail::tar_header(tar.peek(end, block));
        if (!header.zero() && !header.checksum_holds()) refuse(path, message("its last member ends at byte ", end, ", where the shard has neither a header nor its end"));
    }

    /// u64 offset of each sample's first header, and the end of the last member.
    static std::uint64_t energon(std::string const& path, blob const& bytes, io::byte_source& tar) {
        static_assert(std::endian::native == std::endian::little);
        if (bytes.size() % 8 != 0 || bytes.empty()) refuse(path, message("neither DALI's text nor a list of 8-byte offsets, ", number_of(bytes.size(), "byte")));
        std::uint64_t before = 0, offset = 0;
        for (std::size_t i = 0; i < bytes.size(); i += 8, before = offset) {
            std::memcpy(&offset, bytes.data() + i, 8);
            if (offset % block != 0 || offset > tar.size() || (i != 0 && offset <= before)) refuse(path, message("offset number ", i / 8, " (", offset, ") is no place of a sample in ", number_of(tar.size(), "byte")));
        }
        check_end(path, tar, offset);
        return bytes.size() / 8 - 1;
    }

    /// "v1.2 47", then per sample `ext offset size name` (v1.1 without name) repeated; the offset is that of the data.
    static std::uint64_t dali(std::string const& path, std::string_view text, io::byte_source& tar) {
        auto line = std::string_view{};
        std::size_t number = 0;
        auto const take = [&] {
            if (text.empty()) return false;
            auto const cut = (std::min)(text.find('\n'), text.size());
            line = text.substr(0, cut);
            text.remove_prefix((std::min)(cut + 1, text.size()));
            ++number;
            return true;
        };
        auto const word = [&] {
            while (!line.empty() && (line[0] == ' ' || line[0] == '\t' || line[0] == '\r')) line.remove_prefix(1);
            auto const w = line.substr(0, line.find_first_of(" \t\r"));
            line.remove_prefix(w.size());
            return w;
        };
        auto const bad = [&](std::string const& why) { refuse(path, message("line ", number, ": ", why)); };
        auto const integer = [&](std::string_view what) {
            auto const w = word();
            std::uint64_t value = 0;
            auto const [end, why] = std::from_chars(w.data(), w.data() + w.size(), value);
            if (why != std::errc{} || end != w.data() + w.size()) bad(message("expected ", what, ", got '", w, "'"));
            return value;
        };
        take();
        auto const version = word();
        if (version != "v1.1" && version != "v1.2") bad(message("version v1.1 or v1.2 can be read, got '", version, "'"));
        auto const samples = integer("the number of samples");
        if (samples == 0 || !word().empty()) bad("expected the number of samples, > 0, and nothing behind it");
        std::uint64_t listed = 0, end = 0;
        while (take()) {
            auto ext = word();
            if (ext.empty()) continue;
            ++listed;
            for (; !ext.empty(); ext = word()) {
                auto const offset = integer("the offset of a member"), size = integer("the size of a member");
                if (offset % block != 0 || offset < block || offset > tar.size() || size > tar.size() - offset) bad(message("member at ", offset, " of ", number_of(size, "byte"), " is not in a shard of ", tar.size()));
                end = (std::max)(end, offset + detail::tar_padded(size));
                if (version == "v1.2" && word().empty()) bad("expected the name of a member");
            }
        }
        if (listed != samples) refuse(path, message("its first line says ", number_of(samples, "sample"), ", it lists ", listed));
        check_end(path, tar, end);
        return samples;
    }
};

}  // namespace penstock
