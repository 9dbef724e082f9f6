// Implements: fields and sample, what a shard yields before anything is decoded; typed access by extension.
#pragma once

#include <penstock/core/blob.hpp>    // defines: blob
#include <penstock/core/errors.hpp>  // defines: stage_error, place, fault
#include <penstock/core/keyed.hpp>   // defines: keyed
#include <penstock/core/name_slots.hpp>  // defines: name_slots

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// Where a sample came from, for messages: shared by all samples of a shard.
struct shard_name {
    std::string path;
};

/// The files of one sample by extension ("png", "seg.png", "cls"); bytes share their owner, nothing is copied.
/// A getter throws stage_error (content) that names shard, key and byte; `name` may list alternatives, "jpg;png": the first present wins.
class fields {
public:
    struct field {
        std::string name;
        blob bytes;
    };

    fields() = default;
    fields(std::shared_ptr<shard_name const> from, std::string key, std::uint64_t byte) : from_(std::move(from)), key_(std::move(key)), byte_(byte) {}

    void add(std::string name, blob bytes) {
        all_.push_back({std::move(name), std::move(bytes)});
        slots_.added(all_);
    }
    std::vector<field> const& all() const { return all_; }

    field const* find(std::string_view names) const {
        while (true) {
            auto const cut = names.find(';');
            auto const name = names.substr(0, cut);
            if (auto const at = slots_.find(name, all_); at != all_.size()) return &all_[at];
            if (cut == names.npos) return nullptr;
            names.remove_prefix(cut + 1);
        }
    }
    bool has(std::string_view names) const { return find(names) != nullptr; }

    /// The bytes of the field as they are.
    blob const& bytes(std::string_view names) const { return required(names).bytes; }
    /// The field as text; invalid UTF-8 is the caller's to judge.
    std::string_view text(std::string_view names) const { return required(names).bytes.text(); }
    /// A decimal integer: ASCII white space around, an optional sign, digits (WebDataset's `cls`).
    std::int64_t integer(std::string_view names) const {
        auto const& f = required(names);
        auto text = f.bytes.text();
        auto const space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
        while (!text.empty() && space(text.front())) text.remove_prefix(1);
        while (!text.empty() && space(text.back())) text.remove_suffix(1);
        if (text.starts_with('+')) text.remove_prefix(1);
        std::int64_t number = 0;
        auto const [end, why] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (why != std::errc{} || end != text.data() + text.size() || text.empty())
            throw stage_error("integer", fault::content, where(), message("field '", f.name, "' is not a 64-bit decimal integer: '", shortened(f.bytes.text()), "'"),
                              "look at the shard's member of that name, or read it with text()");
        return number;
    }

    /// For messages: shard, key and offset of the sample's first header.
    place where() const { return {from_ ? from_->path : std::string{}, key_, byte_, std::nullopt}; }
    std::shared_ptr<shard_name const> const& from() const { return from_; }
    std::string const& key() const { return key_; }
    std::uint64_t byte() const { return byte_; }

private:
    field const& required(std::string_view names) const {
        if (auto const* f = find(names)) return *f;
        auto present = std::string{};
        for (auto const& f : all_) present += (present.empty() ? "" : ", ") + f.name;
        throw stage_error("sample", fault::content, where(), message("no field '", names, "'; it has: ", present.empty() ? "none" : present),
                          names.starts_with('.') ? "the dot before an extension is no part of its name" : "ask for one of these, or for alternatives, as in \"jpg;png\"");
    }
    static std::string shortened(std::string_view text) { return std::string(text.substr(0, 40)) + (text.size() > 40 ? "..." : ""); }

    std::vector<field> all_;
    detail::name_slots slots_;
    std::shared_ptr<shard_name const> from_;
    std::string key_;
    std::uint64_t byte_ = 0;
};

using sample = keyed<fields>;

}  // namespace penstock
