// Implements: read_sizes_json, the side file of open_clip: {"00000.tar": 10000, ...}, samples by base name.
#pragma once

#include <penstock/io/open_file.hpp>  // defines: open_file

#include <charconv>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace penstock {

/// The subset of JSON that this file uses: one flat object from strings to whole numbers >= 0. Anything else is a stage_error (content)
/// with its byte, and so is a name that comes twice.
inline std::map<std::string, std::uint64_t> read_sizes_json(std::string const& path) {
    auto const file = io::open_file(path);
    auto const bytes = file->read(0, static_cast<std::size_t>(file->size()));
    auto const text = bytes.text();
    std::size_t at = 0;
    auto const refuse = [&](std::string_view expected) {
        throw stage_error("read_sizes_json", fault::content, place{path, {}, at, {}}, message("expected ", expected),
                          "the file must read {\"00000.tar\": 10000, ...}; remove it to have the shards counted");
    };
    auto const blank = [&] {
        while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t')) ++at;
    };
    auto const take = [&](char c) {
        blank();
        return at < text.size() && text[at] == c ? (++at, true) : false;
    };
    auto const string = [&] {
        auto value = std::string{};
        if (!take('"')) refuse("a name in double quotes");
        while (at < text.size() && text[at] != '"') {
            if (static_cast<unsigned char>(text[at]) < 0x20) refuse("no control character in a name");
            if (text[at] == '\\') {
                ++at;
                if (at == text.size() || (text[at] != '"' && text[at] != '\\' && text[at] != '/')) refuse("\\\", \\\\ or \\/ after a backslash");
            }
            value += text[at++];
        }
        if (at == text.size()) refuse("the closing quote of a name");
        ++at;
        return value;
    };
    auto sizes = std::map<std::string, std::uint64_t>{};
    if (!take('{')) refuse("'{'");
    if (!take('}')) {
        do {
            blank();
            auto const from = at;
            auto name = string();
            if (!take(':')) refuse("':'");
            blank();
            std::uint64_t samples = 0;
            auto const [end, why] = std::from_chars(text.data() + at, text.data() + text.size(), samples);
            auto const length = static_cast<std::size_t>(end - (text.data() + at));
            if (why != std::errc{} || (length > 1 && text[at] == '0')) refuse("a whole number >= 0");
            at += length;
            if (at < text.size() && (text[at] == '.' || text[at] == 'e' || text[at] == 'E')) refuse("a whole number");
            if (!sizes.emplace(std::move(name), samples).second) {
                at = from;
                refuse("each name once");
            }
        } while (take(','));
        if (!take('}')) refuse("',' or '}'");
    }
    blank();
    if (at != text.size()) refuse("the end of the file");
    return sizes;
}

}  // namespace penstock
