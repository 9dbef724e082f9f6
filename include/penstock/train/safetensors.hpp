// Implements: what safetensors files consist of; write_safetensors.hpp and read_safetensors.hpp use it.
// Format: huggingface/safetensors. u64 n | n bytes of JSON {name: {dtype, shape, data_offsets: [begin, end]}} | data, little-endian, C order.
#pragma once

#include <penstock/core/errors.hpp>  // defines: state_error, message
#include <penstock/train/named.hpp>  // defines: named_tensors

#include <array>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace penstock::train {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

using string_map = std::map<std::string, std::string>;

/// What a file holds: tensors in the order of their bytes, names that share one tensor, free text, and what identifies the file.
struct safetensors {
    named_tensors tensors{};
    string_map metadata{};
    std::uint64_t bytes = 0;
    std::uint32_t checksum = 0;  ///< CRC-32C of the whole file
};

/// Size and CRC-32C of a file that was written.
struct file_mark {
    std::uint64_t bytes = 0;
    std::uint32_t checksum = 0;
    bool operator==(file_mark const&) const = default;
};

namespace detail {

inline constexpr std::string_view alias_prefix = "alias:";  // metadata "alias:b.weight" = "a.weight": two names, one tensor
inline constexpr std::uint64_t header_limit = 100'000'000;

struct element {
    std::string_view name;
    at::ScalarType type;
    std::uint64_t bytes;
};
inline constexpr std::array elements{  // widest first: the reference writer's order, which aligns the data for mapping
    element{"U64", at::kUInt64, 8},         element{"I64", at::kLong, 8},          element{"F64", at::kDouble, 8},
    element{"C64", at::kComplexFloat, 8},   element{"F32", at::kFloat, 4},         element{"U32", at::kUInt32, 4},
    element{"I32", at::kInt, 4},            element{"BF16", at::kBFloat16, 2},     element{"F16", at::kHalf, 2},
    element{"U16", at::kUInt16, 2},         element{"I16", at::kShort, 2},         element{"F8_E4M3", at::kFloat8_e4m3fn, 1},
    element{"F8_E5M2", at::kFloat8_e5m2, 1}, element{"I8", at::kChar, 1},          element{"U8", at::kByte, 1},
    element{"BOOL", at::kBool, 1},
};

struct bad_file {  // refuses a file: names it, the tensor, the rule and what was found
    std::filesystem::path const& path;
    template <class... A> [[noreturn]] void operator()(std::string_view tensor, A const&... rule) const {
        std::string at = tensor.empty() ? std::string{} : message("tensor '", tensor, "': ");
        throw state_error(message("safetensors(", path.string(), "): ", at, rule...,
                                  "\n  HINT: the file is damaged, cut or not a safetensors file; use another checkpoint or copy it again"));
    }
};

}  // namespace detail

}  // namespace penstock::train
