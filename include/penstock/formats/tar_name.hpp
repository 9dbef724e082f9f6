// Implements: how a member's name becomes a sample's key and a field's extension (WebDataset's convention).
#pragma once

#include <string>
#include <string_view>

namespace penstock::detail {

struct tar_name {
    enum class use {
        field,      ///< key and extension are set
        meta,       ///< "__name__" or a path that starts with such a directory
        companion,  ///< "._name" or ".DS_Store": what archivers on Macs add to files
        hidden,     ///< the base name starts with a dot for another reason
        no_match,   ///< no dot in the base name
    };
    use kind = use::no_match;
    std::string_view key{};        ///< everything before the first dot of the base name, directories included
    std::string_view extension{};  ///< everything after it, in its own case

    static tar_name of(std::string_view name) {
        if (name.starts_with("__")) {
            auto const slash = name.find('/');
            auto const first = name.substr(0, slash);
            if (first.ends_with("__") && (slash == name.npos || first.size() >= 4)) return {use::meta};
        }
        auto const slash = name.rfind('/');
        auto const base = slash == name.npos ? 0 : slash + 1;
        auto const last = name.substr(base);
        if (last.starts_with("._") || last == ".DS_Store") return {use::companion};
        if (last.starts_with('.')) return {use::hidden};
        auto const dot = name.find('.', base);
        if (dot == name.npos) return {};
        return {use::field, name.substr(0, dot), name.substr(dot + 1)};
    }
};

/// A-Z to a-z, no locale; other bytes stay.
inline std::string ascii_lower(std::string_view text) {
    auto result = std::string(text);
    for (auto& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

}  // namespace penstock::detail
