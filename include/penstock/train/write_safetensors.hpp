// Implements: write_safetensors(path, tensors, metadata), a file that is whole or absent.
#pragma once

#include <penstock/train/durable_file.hpp>  // defines: durable_file
#include <penstock/train/safetensors.hpp>   // defines: string_map, file_mark, detail::elements

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace penstock::train {

namespace detail {

inline bool same_memory(at::Tensor const& a, at::Tensor const& b) {
    return a.is_same(b) || (a.numel() != 0 && a.device() == b.device() && a.data_ptr() == b.data_ptr() && a.scalar_type() == b.scalar_type() &&
                            a.sizes() == b.sizes() && a.strides() == b.strides());
}

}  // namespace detail

/// Writes tensors and string metadata into one file; an existing file is replaced in one step, never rewritten in place.
///
/// Order    by element width, then by name; the order of `named` has no meaning
/// Buffers  one tensor on the host at a time
/// Resume   not a stage; two names of one tensor are stored once and come back as one
/// Threads  none
/// Errors   config_error for names, layouts and types that the format lacks; stage_error (io) with file and errno when it cannot be written
///
///     write_safetensors("net.safetensors", state_of(net), {{"epoch", "3"}})
inline file_mark write_safetensors(std::filesystem::path const& path, named_tensors const& named, string_map const& metadata = {}) {
    using json = nlohmann::ordered_json;
    auto refuse = [&](std::string const& name, auto const&... rule) {
        throw config_error(message("write_safetensors(", path.string(), "): tensor '", name, "': ", rule...));
    };
    struct entry {
        std::string_view name;
        at::Tensor value;
        std::size_t kind;
    };
    std::vector<entry> entries;
    std::set<std::string_view> names;
    json header = json::object(), meta = json::object();
    for (auto const& [key, text] : metadata) {
        if (key.starts_with(detail::alias_prefix))
            throw config_error(message("write_safetensors(", path.string(), "): metadata keys must not start with 'alias:', got '", key, "'"));
        meta[key] = text;
    }
    for (auto const& [name, t] : named) {
        if (name == "__metadata__" || !names.insert(name).second)
            refuse(name, "names must be unique and not __metadata__, got it twice\n  HINT: prefix the names of each part");
        if (!t.defined() || t.layout() != at::kStrided)
            refuse(name, "must be a dense tensor, got ", t.defined() ? "a sparse one" : "an undefined one", "\n  HINT: leave it out or call to_dense()");
        auto const kind = std::ranges::find(detail::elements, t.scalar_type(), &detail::element::type);
        if (kind == detail::elements.end())
            refuse(name, "type must be one that the format has, got ", at::toString(t.scalar_type()), "\n  HINT: convert it before saving");
        auto const twin = std::ranges::find_if(entries, [&tensor = t](entry const& e) { return detail::same_memory(e.value, tensor); });
        if (twin != entries.end()) meta[std::string(detail::alias_prefix) + name] = twin->name;
        else entries.push_back({name, t, static_cast<std::size_t>(kind - detail::elements.begin())});
    }
    std::ranges::sort(entries, {}, [](entry const& e) { return std::tie(e.kind, e.name); });
    if (!meta.empty()) header["__metadata__"] = meta;
    std::uint64_t at = 0;
    for (auto const& e : entries) {
        auto const end = at + static_cast<std::uint64_t>(e.value.numel()) * detail::elements[e.kind].bytes;
        header[std::string(e.name)] = {{"dtype", detail::elements[e.kind].name}, {"shape", e.value.sizes().vec()}, {"data_offsets", {at, end}}};
        at = end;
    }
    std::string text;
    try {
        text = header.dump();
    } catch (nlohmann::json::exception const& bad) {
        throw config_error(message("write_safetensors(", path.string(), "): names and metadata must be UTF-8, got ", bad.what()));
    }
    text.append((8 - text.size() % 8) % 8, ' ');
    if (text.size() > detail::header_limit)
        throw config_error(message("write_safetensors(", path.string(), "): the header must be <= ", detail::header_limit, " bytes, got ", text.size()));
    durable_file out(path);
    std::uint64_t const n = text.size();
    out.write(&n, sizeof n);
    out.write(text);
    for (auto const& e : entries) {
        auto const host = e.value.detach().resolve_conj().resolve_neg().to(at::kCPU).contiguous();
        out.write(host.const_data_ptr(), host.nbytes());
    }
    out.commit();
    return {out.bytes(), out.checksum()};
}

}  // namespace penstock::train
