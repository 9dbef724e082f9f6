// Implements: what a shard list may say in words of its own: ${NAME} from the environment, @file for a file of names.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::detail {

/// Many names in one piece of memory: the length of each and 8 bytes.
class packed_names {
public:
    packed_names() = default;
    explicit packed_names(std::vector<std::string> const& names) {
        std::size_t bytes = 0;
        for (auto const& n : names) bytes += n.size();
        text_.reserve(bytes);
        ends_.reserve(names.size());
        for (auto const& n : names) add(n);
    }
    void add(std::string_view name) {
        text_ += name;
        ends_.push_back(text_.size());
    }
    void shrink() {
        text_.shrink_to_fit();
        ends_.shrink_to_fit();
    }
    std::uint64_t size() const { return ends_.size(); }
    std::string operator[](std::uint64_t i) const {
        auto const from = i == 0 ? 0 : ends_[i - 1];
        return text_.substr(from, ends_[i] - from);
    }
    void append(std::string& out, std::uint64_t i) const {
        auto const from = i == 0 ? 0 : ends_[i - 1];
        out.append(text_, from, ends_[i] - from);
    }

private:
    std::string text_;
    std::vector<std::size_t> ends_;
};

/// ${NAME} in `text` is the environment variable WDS_NAME, as WebDataset reads it, or else NAME. config_error when neither is set.
inline std::string with_environment(std::string text, std::string_view whole) {
    auto const word = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    for (int round = 0; round != 10; ++round) {  // a value may hold further names; ten rounds end a circle
        bool found = false;
        std::string out;
        for (std::size_t i = 0; i < text.size();) {
            auto end = i;
            if (text.compare(i, 2, "${") == 0)
                for (end = i + 2; end < text.size() && word(text[end]);) ++end;
            if (end <= i + 2 || end == text.size() || text[end] != '}') {
                out += text[i++];
                continue;
            }
            auto const name = text.substr(i + 2, end - i - 2);
            auto const* value = std::getenv(("WDS_" + name).c_str());
            if (value == nullptr) value = std::getenv(name.c_str());
            if (value == nullptr)
                throw config_error(message("shard_list(\"", whole, "\"): ${", name, "} needs the environment variable WDS_", name, " or ", name, ", and neither is set\n  HINT: export WDS_", name, "=..."));
            out += value;
            found = true;
            i = end + 1;
        }
        text = std::move(out);
        if (!found) break;
    }
    return text;
}

/// The names in a file, one per line and taken as they are, seen from the working directory; empty lines and lines that begin with # are none.
inline packed_names names_in_file(std::string const& path, std::string_view whole) {
    auto const refuse = [&](std::string const& rule, std::string_view hint) {
        throw config_error(message("shard_list(\"", whole, "\"): ", rule, "\n  HINT: ", hint));
    };
    auto in = std::ifstream(path, std::ios::binary);
    if (path.empty() || !in) refuse(message("@ needs a file that can be read, got '", path, "'"), "@shards.txt is a file with one name per line");
    packed_names names;
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); ++number) {
        if (line.find('\0') != line.npos) refuse(message("line ", number, " of ", path, " is no text"), "@ is for a file of names; leave it out to name a shard");
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.pop_back();
        if (!line.empty() && line.front() != '#') names.add(line);
    }
    if (in.bad() || (in.fail() && !in.eof())) refuse(message("cannot read ", path), "a directory is named without @");
    if (names.size() == 0) refuse(message("the file ", path, " holds no name"), "write one name per line");
    names.shrink();
    return names;
}

/// A path without the parts that say nothing, "." and empty ones. ".." stays, since a link may lie before it, and so does an address.
inline std::string plain_path(std::string path) {
    if (path.find("://") != path.npos || (path.find("//") == path.npos && path.find("/./") == path.npos && !path.starts_with("./"))) return path;
    auto out = std::string(path.starts_with('/') ? "/" : "");
    for (auto rest = std::string_view(path); !rest.empty();) {
        auto const part = rest.substr(0, rest.find('/'));
        rest.remove_prefix((std::min)(part.size() + 1, rest.size()));
        if (part.empty() || part == ".") continue;
        if (!out.empty() && out.back() != '/') out += '/';
        out += part;
    }
    return out;
}

}  // namespace penstock::detail
