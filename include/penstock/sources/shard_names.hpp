// Implements: shard_names, the paths of a data set's shards in their permanent order.
#pragma once

#include <penstock/core/errors.hpp>     // defines: config_error, message
#include <penstock/core/random.hpp>     // defines: mix64
#include <penstock/sources/braces.hpp>  // defines: brace_pattern

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// Paths in list order, which numbers the samples for ever. A value that shares what it holds; patterns stay patterns.
/// Throws config_error for an empty list, an empty name, a name that occurs twice.
class shard_names {
public:
    /// "a-{0..3}.tar::b.tar": parts joined by `::`, `${NAME}` is the environment variable WDS_NAME, then braces.
    static shard_names expand(std::string_view text) {
        auto made = std::make_shared<content>();
        made->shown = message("\"", text, "\"");
        auto rest = text;
        for (bool more = true; more;) {
            auto const cut = rest.find("::");
            more = cut != rest.npos;
            if (auto const one = rest.substr(0, cut); !one.empty()) made->patterns.push_back(brace_pattern(with_environment(std::string(one), text)));
            if (more) rest.remove_prefix(cut + 2);
        }
        return shard_names(std::move(made));
    }
    /// These paths as they are, nothing in them is expanded.
    static shard_names list(std::vector<std::string> paths) {
        auto made = std::make_shared<content>();
        made->shown = message("list of ", paths.size());
        made->paths = std::move(paths);
        return shard_names(std::move(made));
    }

    std::size_t size() const { return content_->size; }
    std::string operator[](std::size_t i) const {
        if (!content_->paths.empty()) return content_->paths[i];
        auto const& ends = content_->ends;
        auto const at = static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), i) - ends.begin());
        return content_->patterns[at][i - (at == 0 ? 0 : ends[at - 1])];
    }
    /// What the user wrote, for messages.
    std::string const& shown() const { return content_->shown; }

private:
    struct content {
        std::string shown;
        std::vector<std::string> paths;
        std::vector<brace_pattern> patterns;
        std::vector<std::uint64_t> ends;  // number of names up to and with pattern k
        std::size_t size = 0;
    };

    explicit shard_names(std::shared_ptr<content> made) : content_(made) {
        std::uint64_t names = made->paths.size();
        for (auto const& p : made->patterns) made->ends.push_back(names += p.size());
        if (names == 0) throw config_error(message("shard_list(", made->shown, "): a data set needs at least one shard, got none\n  HINT: give a path, a pattern like data/train-{000..059}.tar, or a list"));
        if (names >= (std::numeric_limits<std::uint32_t>::max)())
            throw config_error(message("shard_list(", made->shown, "): at most 2^32 - 2 shards, got ", names, "\n  HINT: look at the ranges in braces"));
        made->size = static_cast<std::size_t>(names);
        check_names();
    }

    void check_names() const {
        for (auto const& path : content_->paths)
            if (path.empty()) throw config_error(message("shard_list(", shown(), "): a path is empty\n  HINT: leave it out"));
        if (content_->paths.empty() && content_->patterns.size() == 1 && content_->patterns[0].surely_distinct()) return;
        struct entry {
            std::uint64_t hash;
            std::uint32_t number;
        };
        std::vector<entry> all;
        all.reserve(size());
        for (std::size_t i = 0; i != size(); ++i) all.push_back({std::hash<std::string>{}((*this)[i]), static_cast<std::uint32_t>(i)});
        std::sort(all.begin(), all.end(), [](entry a, entry b) { return a.hash != b.hash ? a.hash < b.hash : a.number < b.number; });
        for (std::size_t i = 1; i < all.size(); ++i)
            for (auto j = i; j-- != 0 && all[j].hash == all[i].hash;)
                if ((*this)[all[j].number] == (*this)[all[i].number])
                    throw config_error(message("shard_list(", shown(), "): each shard may occur once, but ", (*this)[all[i].number], " is number ", all[j].number,
                                               " and number ", all[i].number, "\n  HINT: remove one; to read the data several times per epoch use .repeat"));
    }

    static std::string with_environment(std::string text, std::string_view whole) {
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
                auto const name = "WDS_" + text.substr(i + 2, end - i - 2);
                auto const* value = std::getenv(name.c_str());
                if (!value) throw config_error(message("shard_list(\"", whole, "\"): ${", name.substr(4), "} needs the environment variable ", name, ", which is not set\n  HINT: export ", name, "=..."));
                out += value;
                found = true;
                i = end + 1;
            }
            text = std::move(out);
            if (!found) break;
        }
        return text;
    }

    std::shared_ptr<content const> content_;
};

}  // namespace penstock
