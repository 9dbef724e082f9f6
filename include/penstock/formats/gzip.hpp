// Implements: gunzip, a whole gzip file in memory with every check it carries; members may follow each other.
#pragma once

#include <penstock/core/blob.hpp>       // defines: blob
#include <penstock/io/byte_source.hpp>  // defines: byte_source

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace penstock {

/// Unpacks `source` to its end; `at_most` bounds the result. A cut or damaged stream is a stage_error (content) with the byte reached.
inline blob gunzip(io::byte_source& source, std::uint64_t at_most = std::uint64_t{1} << 32) {
    struct stream {
        z_stream z{};
        ~stream() { inflateEnd(&z); }
    };
    auto const refuse = [&](std::uint64_t byte, std::string const& why, std::string_view hint) {
        throw stage_error("gunzip", fault::content, place{source.name(), {}, byte, {}}, why, hint);
    };
    auto s = stream{};
    if (inflateInit2(&s.z, 15 + 16) != Z_OK) throw std::bad_alloc();  // 16: gzip framing only
    auto out = std::string{};
    std::uint64_t at = 0;
    bool ended = false;  // at the end of a member
    auto piece = blob{};
    while (true) {
        if (s.z.avail_in == 0) {
            auto const n = static_cast<std::size_t>((std::min<std::uint64_t>)(1 << 20, source.size() - at));
            if (n == 0) break;
            piece = source.read(at, n);
            at += n;
            s.z.next_in = const_cast<Bytef*>(piece.u8());
            s.z.avail_in = static_cast<uInt>(n);
        }
        if (ended) {
            inflateReset(&s.z);
            ended = false;
        }
        if (s.z.avail_out == 0) {
            auto const had = out.size();
            if (had > at_most) refuse(at - s.z.avail_in, message("unpacks to more than ", at_most, " bytes"), "raise the limit if that is what you expect");
            out.resize((std::max<std::size_t>)(had * 2, 1 << 16));
            s.z.avail_out = static_cast<uInt>((std::min<std::size_t>)(out.size() - had, 1u << 31));
            out.resize(had + s.z.avail_out);
            s.z.next_out = reinterpret_cast<Bytef*>(out.data() + had);
        }
        auto const code = inflate(&s.z, Z_NO_FLUSH);
        if (code == Z_STREAM_END) ended = true;
        else if (code != Z_OK && code != Z_BUF_ERROR)
            refuse(at - s.z.avail_in, message("damaged gzip data: ", s.z.msg != nullptr ? s.z.msg : "unknown"), "download the file again");
    }
    if (!ended) refuse(at, "truncated: the gzip stream does not end", "download the file again");
    out.resize(out.size() - s.z.avail_out);
    if (out.size() > at_most) refuse(at, message("unpacks to more than ", at_most, " bytes"), "raise the limit if that is what you expect");
    return blob::own(std::move(out));
}

/// The bytes of a source, unpacked if they begin with gzip's magic.
inline blob maybe_gunzip(std::shared_ptr<io::byte_source> const& source) {
    if (source->size() >= 2) {
        auto const head = source->read(0, 2);
        if (head.u8()[0] == 0x1f && head.u8()[1] == 0x8b) return gunzip(*source);
    }
    return source->read(0, static_cast<std::size_t>(source->size()));
}

}  // namespace penstock
