// Implements: json_counts, {"00000.tar": 10000, ...} in a JSON file: open_clip's sizes.json, and the shard_counts of Energon's .info.json; and
// json_side_files, which finds them.
#pragma once

#include <penstock/formats/shard_index.hpp>  // defines: shard_index
#include <penstock/io/open_file.hpp>         // defines: open_file

#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace penstock {

namespace detail {

/// As much JSON as the files of counts use: objects, strings without \u, whole numbers; other values are passed. Anything else is a
/// stage_error (content) with its byte, and so is a name that comes twice.
class json_counts {
public:
    json_counts(std::string path, std::string_view form) : path_(std::move(path)), form_(form) {
        auto const file = io::open_file(path_);
        bytes_ = file->read(0, static_cast<std::size_t>(file->size()));
        text_ = bytes_.text();
    }

    /// The whole file is one flat object of counts.
    std::map<std::string, std::uint64_t> whole() {
        auto sizes = counts();
        end();
        return sizes;
    }
    /// The object of counts that is the member `name` of the file's object, if there is one.
    std::optional<std::map<std::string, std::uint64_t>> member(std::string_view name) {
        std::optional<std::map<std::string, std::uint64_t>> found;
        if (!take('{')) refuse("'{'");
        if (!take('}')) {
            do {
                bool const wanted = string() == name;
                if (!take(':')) refuse("':'");
                if (wanted) found = counts();
                else pass(0);
            } while (take(','));
            if (!take('}')) refuse("',' or '}'");
        }
        end();
        return found;
    }

private:
    [[noreturn]] void refuse(std::string_view expected) const {
        throw stage_error("read_sizes_json", fault::content, place{path_, {}, at_, {}}, message("expected ", expected), message("the file must read ", form_, "; remove it to have the shards counted"));
    }
    void blank() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) ++at_;
    }
    bool take(char c) {
        blank();
        return at_ < text_.size() && text_[at_] == c ? (++at_, true) : false;
    }
    void end() {
        blank();
        if (at_ != text_.size()) refuse("the end of the file");
    }
    std::string string() {
        auto value = std::string{};
        if (!take('"')) refuse("a name in double quotes");
        while (at_ < text_.size() && text_[at_] != '"') {
            if (static_cast<unsigned char>(text_[at_]) < 0x20) refuse("no control character in a name");
            if (text_[at_] == '\\') {
                ++at_;
                if (at_ == text_.size() || (text_[at_] != '"' && text_[at_] != '\\' && text_[at_] != '/')) refuse("\\\", \\\\ or \\/ after a backslash");
            }
            value += text_[at_++];
        }
        if (at_ == text_.size()) refuse("the closing quote of a name");
        ++at_;
        return value;
    }
    std::uint64_t number() {
        blank();
        std::uint64_t samples = 0;
        auto const* const from = text_.data() + at_;
        auto const [end, why] = std::from_chars(from, text_.data() + text_.size(), samples);
        auto const length = static_cast<std::size_t>(end - from);
        if (why != std::errc{} || (length > 1 && *from == '0')) refuse("a whole number >= 0");
        at_ += length;
        if (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E')) refuse("a whole number");
        return samples;
    }
    std::map<std::string, std::uint64_t> counts() {
        auto sizes = std::map<std::string, std::uint64_t>{};
        if (!take('{')) refuse("'{'");
        if (take('}')) return sizes;
        do {
            blank();
            auto const from = at_;
            auto name = string();
            if (!take(':')) refuse("':'");
            auto const samples = number();
            if (!sizes.emplace(std::move(name), samples).second) {
                at_ = from;
                refuse("each name once");
            }
        } while (take(','));
        if (!take('}')) refuse("',' or '}'");
        return sizes;
    }
    void pass(int depth) {  // a value that nobody asked for
        blank();
        if (depth > 64) refuse("values nested less deeply");
        if (at_ == text_.size()) refuse("a value");
        if (text_[at_] == '"') return void(string());
        if (text_[at_] == '{' || text_[at_] == '[') {
            bool const object = text_[at_++] == '{';
            char const close = object ? '}' : ']';
            if (take(close)) return;
            do {
                if (object && (string(), !take(':'))) refuse("':'");
                pass(depth + 1);
            } while (take(','));
            if (!take(close)) refuse(object ? "',' or '}'" : "',' or ']'");
            return;
        }
        auto const from = at_;
        while (at_ < text_.size() && ((text_[at_] >= 'a' && text_[at_] <= 'z') || (text_[at_] >= '0' && text_[at_] <= '9') || text_[at_] == '-' || text_[at_] == '+' || text_[at_] == '.' || text_[at_] == 'E')) ++at_;
        if (at_ == from) refuse("a value");
    }

    std::string path_, form_;
    blob bytes_;
    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace detail

/// open_clip's sizes.json: samples by base name.
inline std::map<std::string, std::uint64_t> read_sizes_json(std::string const& path) { return detail::json_counts(path, "{\"00000.tar\": 10000, ...}").whole(); }

/// Energon's .nv-meta/.info.json: samples by path below the directory that holds .nv-meta.
inline std::map<std::string, std::uint64_t> read_energon_info(std::string const& path) {
    auto found = detail::json_counts(path, "{\"shard_counts\": {\"shard_0.tar\": 100, ...}}").member("shard_counts");
    if (!found) throw stage_error("read_energon_info", fault::content, place{path, {}, {}, {}}, "has no \"shard_counts\"", "prepare the data set again, or remove the file to have the shards counted");
    return *std::move(found);
}

namespace detail {

/// Counts of many shards in one JSON file: sizes.json beside the shards, or Energon's .nv-meta in a directory above them. Each file is read once.
class json_side_files {
public:
    struct file {
        std::string path{}, root{};  ///< its names are paths below root
        std::map<std::string, std::uint64_t> counts{};
    };
    /// The file that speaks of the shards in `directory`, or null.
    file const* beside(std::string const& directory) {
        auto const [known, fresh] = of_.try_emplace(directory, nullptr);
        if (!fresh) return known->second;
        if (auto const side = directory + "sizes.json"; shard_index::stat_of(side)) return known->second = read(side, directory, read_sizes_json);
        auto up = directory;
        for (int i = 0; i != 4; ++i) {
            if (auto const side = up + ".nv-meta/.info.json"; shard_index::stat_of(side)) return known->second = read(side, up, read_energon_info);
            if (up.empty() || up == "/") break;
            up = shard_index::split(up.substr(0, up.size() - 1)).first;
        }
        return nullptr;
    }
    std::map<std::string, file> const& all() const { return files_; }

private:
    file const* read(std::string const& path, std::string const& root, std::map<std::string, std::uint64_t> (*parse)(std::string const&)) {
        auto const [at, fresh] = files_.try_emplace(path);
        if (fresh) at->second = {path, root, parse(path)};
        return &at->second;
    }
    std::map<std::string, file> files_{};
    std::map<std::string, file const*> of_{};
};

}  // namespace detail

}  // namespace penstock
