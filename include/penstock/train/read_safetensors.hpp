// Implements: read_safetensors(path), which refuses whatever breaks a rule of the format.
#pragma once

#include <penstock/train/checksum.hpp>     // defines: crc32c
#include <penstock/train/safetensors.hpp>  // defines: safetensors, detail::elements, detail::bad_file

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace penstock::train {

namespace detail {

struct slot {  // one entry of a header
    std::string name;
    element kind;
    std::vector<std::int64_t> shape;
    std::uint64_t begin, end;
};

inline nlohmann::json parse_header(std::string const& text, bad_file const& refuse) {
    std::vector<std::set<std::string>> open;  // the keys of each open object: the format forbids repeating one, the parser would not mind
    auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
        using e = nlohmann::json::parse_event_t;
        if (depth > 4) refuse("", "the header must not be nested deeper than 3, got more");
        if (event == e::object_start) open.emplace_back();
        if (event == e::object_end && !open.empty()) open.pop_back();
        if (event == e::key && !open.back().insert(value.get<std::string>()).second)
            refuse(value.get<std::string>(), "names must be unique, got this one twice");
        return true;
    };
    try {
        return nlohmann::json::parse(text, watch);
    } catch (nlohmann::json::exception const& bad) {
        refuse("", "the header must be JSON in UTF-8, got ", bad.what());
    }
}

inline slot parse_slot(std::string const& name, nlohmann::json const& j, bad_file const& refuse) {
    if (!j.is_object() || !j.contains("dtype") || !j.contains("shape") || !j.contains("data_offsets"))
        refuse(name, "must be an object with dtype, shape and data_offsets, got ", j.dump());
    auto const &type = j["dtype"], &shape = j["shape"], &offsets = j["data_offsets"];
    auto is_size = [](nlohmann::json const& v) { return v.is_number_unsigned(); };
    if (!type.is_string()) refuse(name, "dtype must be a string, got ", type.dump());
    if (!shape.is_array() || !std::ranges::all_of(shape, is_size)) refuse(name, "shape must be a list of sizes >= 0, got ", shape.dump());
    if (!offsets.is_array() || offsets.size() != 2 || !std::ranges::all_of(offsets, is_size))
        refuse(name, "data_offsets must be [begin, end], got ", offsets.dump());
    auto const kind = std::ranges::find(elements, type.get_ref<std::string const&>(), &element::name);
    if (kind == elements.end()) refuse(name, "dtype must be one that LibTorch has, got ", type.dump());
    slot s{name, *kind, {}, offsets[0].get<std::uint64_t>(), offsets[1].get<std::uint64_t>()};
    std::uint64_t bytes = kind->bytes, extent = kind->bytes;  // extent: as bytes, but no zero may hide an overflow from the allocator
    for (auto const& dimension : shape) {
        auto const d = dimension.get<std::uint64_t>();
        if (__builtin_mul_overflow(bytes, d, &bytes) || __builtin_mul_overflow(extent, d == 0 ? 1 : d, &extent) ||
            extent > static_cast<std::uint64_t>((std::numeric_limits<std::int64_t>::max)()))
            refuse(name, "the size of the shape must fit into 63 bits, got ", shape.dump());
        s.shape.push_back(static_cast<std::int64_t>(d));
    }
    if (s.end < s.begin || s.end - s.begin != bytes)
        refuse(name, "data_offsets must span the ", bytes, " bytes of ", type.get<std::string>(), shape.dump(), ", got ", offsets.dump());
    return s;
}

/// Reads a file once from front to back; closes it whatever happens.
class front_to_back {
public:
    front_to_back(std::filesystem::path const& path, bad_file const& refuse) : refuse_(refuse), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
        struct stat st {};
        if (fd_ < 0 || ::fstat(fd_, &st) != 0) {
            int const code = errno;
            if (fd_ >= 0) ::close(fd_);
            refuse_("", "cannot be opened: ", std::strerror(code));
        }
        size_ = static_cast<std::uint64_t>(st.st_size);
        if (!S_ISREG(st.st_mode)) {
            ::close(fd_);
            refuse_("", "must be a regular file");
        }
    }
    front_to_back(front_to_back const&) = delete;
    ~front_to_back() { ::close(fd_); }

    void read(void* to, std::uint64_t n, std::string_view tensor) {
        auto* p = static_cast<char*>(to);
        for (std::uint64_t left = n; left != 0;) {
            auto const got = ::read(fd_, p, (std::min)(left, std::uint64_t{1} << 30));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) refuse_(tensor, "cannot be read: ", std::strerror(errno));
            if (got == 0) refuse_(tensor, "the file became shorter while it was read");
            p += got;
            left -= static_cast<std::uint64_t>(got);
        }
        crc_ = crc32c(to, n, crc_);
    }
    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] std::uint32_t checksum() const { return crc_; }

private:
    bad_file refuse_;
    int fd_;
    std::uint64_t size_ = 0;
    std::uint32_t crc_ = 0;
};

}  // namespace detail

/// Reads a whole file into tensors on the host that own their memory (a file that shrinks or vanishes later cannot crash the run).
///
/// Errors: state_error that names file, tensor, rule and value: header length, JSON, repeated names, unknown types, shapes that overflow, holes,
/// overlaps, bytes that are missing or left over.
inline safetensors read_safetensors(std::filesystem::path const& path) {
    detail::bad_file const refuse{path};
    detail::front_to_back in(path, refuse);
    std::uint64_t n = 0;
    if (in.size() < 8) refuse("", "must start with 8 bytes of header length, got a file of ", in.size(), " bytes");
    in.read(&n, 8, "");
    if (n > detail::header_limit || n > in.size() - 8)
        refuse("", "the header length must be <= ", detail::header_limit, " and fit into the file, got ", n, " in a file of ", in.size(), " bytes");
    std::string text(n, '\0');
    in.read(text.data(), n, "");
    if (!text.starts_with('{')) refuse("", "the header must start with '{'");
    auto const header = detail::parse_header(text, refuse);

    safetensors out;
    string_map aliases;
    std::vector<detail::slot> slots;
    for (auto const& [name, value] : header.items()) {
        if (name != "__metadata__") {
            slots.push_back(detail::parse_slot(name, value, refuse));
            continue;
        }
        if (!value.is_object()) refuse("", "__metadata__ must map strings to strings, got ", value.dump());
        for (auto const& [key, v] : value.items()) {
            if (!v.is_string()) refuse("", "__metadata__ must map strings to strings, got ", v.dump(), " for '", key, "'");
            if (key.starts_with(detail::alias_prefix)) aliases[key.substr(detail::alias_prefix.size())] = v.get<std::string>();
            else out.metadata[key] = v.get<std::string>();
        }
    }
    std::ranges::sort(slots, {}, [](detail::slot const& s) { return std::tie(s.begin, s.end); });
    std::uint64_t at = 0;
    for (auto const& s : slots) {
        if (s.begin != at) refuse(s.name, "data must be contiguous without holes or overlap: must begin at ", at, ", got ", s.begin);
        at = s.end;
    }
    if (at != in.size() - 8 - n) refuse("", "the data must fill the file: ", at, " bytes expected after the header, got ", in.size() - 8 - n);

    for (auto const& s : slots) {
        auto t = at::empty(s.shape, at::TensorOptions(s.kind.type));
        in.read(t.data_ptr(), s.end - s.begin, s.name);
        if (s.kind.type == at::kBool) {  // any other byte in a bool is undefined behaviour later on
            auto const* b = static_cast<unsigned char const*>(t.const_data_ptr());
            if (std::any_of(b, b + (s.end - s.begin), [](unsigned char v) { return v > 1; })) refuse(s.name, "BOOL bytes must be 0 or 1, got another");
        }
        out.tensors.emplace_back(s.name, std::move(t));
    }
    for (auto const& [name, target] : aliases) {
        auto const named = [](std::string const& wanted) { return [&wanted](auto const& item) { return item.first == wanted; }; };
        auto const found = std::ranges::find_if(out.tensors, named(target));
        if (found == out.tensors.end() || std::ranges::any_of(out.tensors, named(name)))
            refuse(name, "an alias must give a new name to a tensor of the file, got '", target, "'");
        out.tensors.emplace_back(name, at::Tensor(found->second));
    }
    out.bytes = in.size();
    out.checksum = in.checksum();
    return out;
}

}  // namespace penstock::train
