// Implements: shard_names, the paths of a data set's shards in their permanent order.
#pragma once

#include <penstock/core/errors.hpp>         // defines: config_error, message
#include <penstock/sources/braces.hpp>      // defines: brace_pattern
#include <penstock/sources/shard_glob.hpp>  // defines: has_glob, glob_escapes, glob_files, directory_files
#include <penstock/sources/shard_text.hpp>  // defines: packed_names, with_environment, names_in_file

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

namespace penstock {

/// Paths in list order, which numbers the samples for ever. A value that shares what it holds; patterns stay patterns.
/// Throws config_error for an empty list, an empty name, a name that occurs twice, also when it is spelled in two ways (a/./b), a pattern that matches nothing.
class shard_names {
public:
    /// Parts joined by `::`. In each, `${NAME}` is the environment variable WDS_NAME or NAME; then it is
    ///
    ///     @shards.txt       a file of names, one per line
    ///     a-{000..127}.tar  braces: names that are not looked up
    ///     a-*.tar           files that match *, ? or [a-z], sorted by their bytes; braces come first
    ///     data/             the .tar files of a directory, sorted by their bytes
    ///
    /// A backslash takes the meaning from the character after it.
    static shard_names expand(std::string_view text) {
        auto made = std::make_shared<content>();
        made->shown = message("\"", text, "\"");
        auto rest = text;
        for (bool more = true; more;) {
            auto const cut = rest.find("::");
            more = cut != rest.npos;
            if (auto const one = rest.substr(0, cut); !one.empty()) made->parts.push_back(part_of(detail::with_environment(std::string(one), text), text));
            if (more) rest.remove_prefix(cut + 2);
        }
        return shard_names(std::move(made));
    }
    /// These paths as they are, nothing in them is expanded.
    static shard_names list(std::vector<std::string> const& paths) {
        auto made = std::make_shared<content>();
        made->shown = message("list of ", paths.size());
        if (!paths.empty()) made->parts.push_back(detail::packed_names(paths));
        return shard_names(std::move(made));
    }

    std::size_t size() const { return content_->size; }
    std::string operator[](std::size_t i) const {
        std::string out;
        append(out, i);
        return out;
    }
    /// Name i behind what `out` holds: whoever walks through all of them reuses one string.
    void append(std::string& out, std::size_t i) const {
        auto const& ends = content_->ends;
        auto const at = static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), i) - ends.begin());
        std::visit([&, k = i - (at == 0 ? 0 : ends[at - 1])](auto const& names) { names.append(out, k); }, content_->parts[at]);
    }
    /// What the user wrote, for messages.
    std::string const& shown() const { return content_->shown; }

private:
    using part = std::variant<brace_pattern, detail::packed_names>;
    struct content {
        std::string shown;
        std::vector<part> parts;
        std::vector<std::uint64_t> ends;  // number of names up to and with part k
        std::size_t size = 0;
    };

    explicit shard_names(std::shared_ptr<content> made) : content_(made) {
        std::uint64_t names = 0;
        for (auto const& p : made->parts) made->ends.push_back(names += std::visit([](auto const& n) { return n.size(); }, p));
        if (names == 0) throw config_error(message("shard_list(", made->shown, "): a data set needs at least one shard, got none\n  HINT: give a path, a pattern like data/train-{000..059}.tar, or a list"));
        if (names >= (std::numeric_limits<std::uint32_t>::max)())
            throw config_error(message("shard_list(", made->shown, "): at most 2^32 - 2 shards, got ", names, "\n  HINT: look at the ranges in braces"));
        made->size = static_cast<std::size_t>(names);
        check_names();
    }

    static part part_of(std::string text, std::string_view whole) {
        if (text.starts_with('@')) return detail::names_in_file(text.substr(1), whole);
        bool const remote = text.find("://") != text.npos;
        bool const glob = remote ? text.find('*') != text.npos : detail::has_glob(text);  // addresses may hold ? and [
        if (remote && glob)
            throw config_error(message("shard_list(\"", whole, "\"): the names behind an address cannot be looked up, got '", text, "'\n  HINT: write a range in braces, or put the names into a file: @shards.txt"));
        auto pattern = brace_pattern(glob ? detail::glob_escapes(text) : text);
        bool const directory = !remote && !glob && (text.ends_with('/') || (pattern.size() == 1 && is_directory(pattern[0])));
        if (!glob && !directory) return pattern;
        std::vector<std::string> all;
        for (std::uint64_t i = 0; i != pattern.size(); ++i) {
            auto found = directory ? detail::directory_files(pattern[i], whole) : detail::glob_files(pattern[i], whole);
            std::move(found.begin(), found.end(), std::back_inserter(all));
        }
        return detail::packed_names(all);
    }
    static bool is_directory(std::string const& path) {
        auto ignored = std::error_code{};
        return std::filesystem::is_directory(path, ignored);
    }

    void check_names() const {
        if (auto const* pattern = std::get_if<brace_pattern>(&content_->parts[0]); content_->parts.size() == 1 && pattern != nullptr && pattern->surely_distinct()) return;
        if (ascend()) return;
        struct entry {
            std::uint64_t hash;
            std::uint32_t number;
        };
        std::vector<entry> all;
        all.reserve(size());
        for (std::size_t i = 0; i != size(); ++i) all.push_back({std::hash<std::string>{}(detail::plain_path((*this)[i])), static_cast<std::uint32_t>(i)});
        std::sort(all.begin(), all.end(), [](entry a, entry b) { return a.hash != b.hash ? a.hash < b.hash : a.number < b.number; });
        for (std::size_t i = 1; i < all.size(); ++i)
            for (auto j = i; j-- != 0 && all[j].hash == all[i].hash;)
                if (auto const a = (*this)[all[j].number], b = (*this)[all[i].number]; detail::plain_path(a) == detail::plain_path(b))
                    throw config_error(message("shard_list(", shown(), "): each shard may occur once, but ", b, " is number ", all[j].number, a == b ? "" : " (as " + a + ")",
                                               " and number ", all[i].number, "\n  HINT: remove one; to read the data several times per epoch use .repeat"));
    }

    /// Whether each name comes after the one before it by its bytes, as in most lists: then no two are equal. Refuses an empty one.
    bool ascend() const {
        bool ascending = true;
        auto before = std::string{};
        for (std::size_t i = 0; i != size(); ++i) {
            auto name = (*this)[i];
            if (name.empty()) throw config_error(message("shard_list(", shown(), "): a path is empty\n  HINT: leave it out"));
            name = detail::plain_path(std::move(name));
            ascending = ascending && before < name;
            before = std::move(name);
        }
        return ascending;
    }

    std::shared_ptr<content const> content_;
};

}  // namespace penstock
