// Implements: glob patterns and directories of shards: what *, ? and [a-z] match, in the order of bytes.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace penstock::detail {

/// Where the bracket expression that begins at `at` ends (its ']'), or npos: then '[' is a character like others.
inline std::size_t glob_bracket(std::string_view pattern, std::size_t at) {
    auto from = at + 1;
    if (from < pattern.size() && (pattern[from] == '!' || pattern[from] == '^')) ++from;
    return pattern.find(']', from + 1);  // a ']' that comes first stands for itself
}

/// Whether `pattern` has a *, ? or [...] that no backslash takes its meaning from.
inline bool has_glob(std::string_view pattern) {
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '\\') ++i;
        else if (pattern[i] == '*' || pattern[i] == '?' || (pattern[i] == '[' && glob_bracket(pattern, i) != pattern.npos)) return true;
    }
    return false;
}

/// \* \? \[ as [*] [?] [[], which the braces leave alone.
inline std::string glob_escapes(std::string_view pattern) {
    std::string out;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        auto const next = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
        if (pattern[i] != '\\') out += pattern[i];
        else if (next == '*' || next == '?' || next == '[') (out += '[') += {next, ']'}, ++i;
        else if (next != '\0') (out += '\\') += next, ++i;
    }
    return out;
}

/// Whether `name`, which holds no '/', is one that `pattern` stands for. A leading dot must be written. Linear in the length of both but
/// for the last star, which is tried at each place.
inline bool glob_matches(std::string_view pattern, std::string_view name) {
    if (name.starts_with('.') && !pattern.starts_with('.')) return false;
    auto const one = [&](std::size_t& p, char c) {  // one character of the pattern against c; moves p behind it
        if (pattern[p] == '?') return ++p, true;
        auto const end = pattern[p] == '[' ? glob_bracket(pattern, p) : pattern.npos;
        if (end == pattern.npos) return pattern[p++] == c;
        bool const turned = pattern[p + 1] == '!' || pattern[p + 1] == '^';
        bool found = false;
        for (auto i = p + 1 + (turned ? 1 : 0); i < end; ++i) {
            auto last = pattern[i];
            if (i + 2 < end && pattern[i + 1] == '-') last = pattern[i + 2];
            auto const byte = [](char x) { return static_cast<unsigned char>(x); };
            found = found || (byte(pattern[i]) <= byte(c) && byte(c) <= byte(last));
            if (i + 2 < end && pattern[i + 1] == '-') i += 2;
        }
        p = end + 1;
        return found != turned;
    };
    std::size_t p = 0, n = 0, star = pattern.npos, star_at = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_at = n;
        } else if (auto at = p; p < pattern.size() && one(at, name[n])) {
            p = at;
            ++n;
        } else if (star != pattern.npos) {
            p = star + 1;
            n = ++star_at;
        } else return false;
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

/// Names in `directory` ("" is the working directory) that `keep(name, entry)` wants. `failed` says why it could not be listed.
template <class Keep>
std::vector<std::string> list_directory(std::string const& directory, std::error_code& failed, Keep keep) {
    std::vector<std::string> names;
    auto entry = std::filesystem::directory_iterator(directory.empty() ? "." : directory, failed);
    for (auto const end = std::filesystem::directory_iterator{}; !failed && entry != end; entry.increment(failed))
        if (auto name = entry->path().filename().string(); keep(name, *entry)) names.push_back(std::move(name));
    return names;
}

/// Files that `rest` stands for below `base`; the names between slashes are matched one by one.
inline void glob_into(std::string const& base, std::string_view rest, std::vector<std::string>& out) {
    auto const slash = rest.find('/');
    auto const part = rest.substr(0, slash);
    bool const last = slash == rest.npos;
    auto ignored = std::error_code{};  // what cannot be looked into matches nothing
    auto const go_on = [&](std::string const& name) {
        auto path = base + name;
        if (!last) return glob_into(path + '/', rest.substr(slash + 1), out);
        if (auto const kind = std::filesystem::status(path, ignored); std::filesystem::exists(kind) && !std::filesystem::is_directory(kind)) out.push_back(std::move(path));
    };
    if (!has_glob(part)) return go_on(std::string(part));
    auto const names = list_directory(base, ignored, [&](std::string const& name, std::filesystem::directory_entry const& e) {
        return glob_matches(part, name) && (last || e.is_directory(ignored));
    });
    for (auto const& name : names) go_on(name);
}

/// The files that match, sorted by their bytes. config_error when there is none. `whole` is what the user wrote.
inline std::vector<std::string> glob_files(std::string const& pattern, std::string_view whole) {
    std::vector<std::string> out;
    glob_into("", pattern, out);
    if (out.empty())
        throw config_error(message("shard_list(\"", whole, "\"): no file matches '", pattern, "'\n  HINT: look at the directory and the pattern; write \\* \\? \\[ for characters that belong to a name"));
    std::sort(out.begin(), out.end());
    return out;
}

/// In any case of its letters, as some archivers write it.
inline bool ends_in_tar(std::string_view name) {
    constexpr std::string_view ending = ".tar";
    auto const last = name.substr(name.size() - (std::min)(name.size(), ending.size()));
    return std::equal(last.begin(), last.end(), ending.begin(), ending.end(), [](char a, char b) { return a == b || (a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b); });
}

/// The .tar files in `directory`, sorted by their bytes; config_error when there is none.
inline std::vector<std::string> directory_files(std::string directory, std::string_view whole) {
    if (!directory.ends_with('/')) directory += '/';
    auto const refuse = [&](std::string const& rule, std::string_view hint) {
        throw config_error(message("shard_list(\"", whole, "\"): ", rule, "\n  HINT: ", hint));
    };
    auto failed = std::error_code{}, ignored = std::error_code{};
    std::size_t others = 0;
    auto names = list_directory(directory, failed, [&](std::string const& name, std::filesystem::directory_entry const& e) {
        bool const shard = ends_in_tar(name) && !name.starts_with('.') && e.is_regular_file(ignored);
        others += shard ? 0 : 1;
        return shard;
    });
    if (failed) refuse(message("cannot list the directory ", directory, ": ", failed.message()), "look for the directory and its permissions");
    if (names.empty() && others == 0) refuse(message("the directory ", directory, " is empty"), "look for the shards elsewhere");
    if (names.empty()) refuse(message("the directory ", directory, " holds ", others, " entries, but no file that ends in .tar"), message("name the shards by a pattern: ", directory, "*.EXT"));
    std::sort(names.begin(), names.end());
    for (auto& name : names) name.insert(0, directory);
    return names;
}

}  // namespace penstock::detail
