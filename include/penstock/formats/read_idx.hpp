// Implements: read_idx(images, labels), the IDX files of MNIST and its relatives, plain or gzip.
#pragma once

#include <penstock/core/blob.hpp>      // defines: blob
#include <penstock/core/keyed.hpp>     // defines: keyed
#include <penstock/core/stage.hpp>     // defines: pipeline, epoch, size_hint, state_*
#include <penstock/formats/gzip.hpp>   // defines: gunzip
#include <penstock/io/open_file.hpp>   // defines: open_file

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// One image of an IDX pair: rows x columns bytes, row by row.
struct idx_item {
    blob image{};
    std::uint32_t rows = 0, columns = 0;
    std::int64_t label = 0;
};

/// A whole IDX file: big-endian 00 00, type, number of dimensions, u32 dimensions, data with the last index fastest.
struct idx_array {
    std::uint8_t type = 0x08;  ///< 08 u8, 09 i8, 0B i16, 0C i32, 0D f32, 0E f64; wider values big-endian
    std::vector<std::uint32_t> dimensions{};
    blob data{};

    static std::size_t bytes_of(std::uint8_t type) {
        switch (type) {
            case 0x08:
            case 0x09: return 1;
            case 0x0b: return 2;
            case 0x0c:
            case 0x0d: return 4;
            case 0x0e: return 8;
            default: return 0;
        }
    }

    /// Reads and checks a file: its length must be exactly that of its dimensions.
    static idx_array read(std::string const& path) {
        auto const all = maybe_gunzip(io::open_file(path));
        auto const bytes = all.text();
        auto const refuse = [&](std::uint64_t at, std::string const& why) {
            throw stage_error("read_idx", fault::content, place{path, {}, at, {}}, why, "an IDX file begins 00 00 TYPE DIMENSIONS, such as MNIST's train-images-idx3-ubyte.gz");
        };
        auto const byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])); };
        if (bytes.size() < 4) refuse(0, message("the file has ", bytes.size(), " bytes, its header alone needs 4"));
        if (byte(0) != 0 || byte(1) != 0) refuse(0, "the first two bytes are not zero");
        auto result = idx_array{};
        result.type = static_cast<std::uint8_t>(byte(2));
        auto const width = bytes_of(result.type);
        if (width == 0) refuse(2, message("type ", byte(2), " is none of 8, 9, 11, 12, 13, 14"));
        auto const n = static_cast<std::size_t>(byte(3));
        if (n == 0) refuse(3, "an array of 0 dimensions");
        if (bytes.size() < 4 + 4 * n) refuse(4, message("the file ends inside its ", n, " dimensions"));
        std::uint64_t size = width;
        for (std::size_t d = 0; d < n; ++d) {
            auto const i = 4 + 4 * d;
            result.dimensions.push_back(byte(i) << 24 | byte(i + 1) << 16 | byte(i + 2) << 8 | byte(i + 3));
            if (__builtin_mul_overflow(size, std::uint64_t{result.dimensions.back()}, &size)) refuse(i, "the dimensions multiply to more than 2^64 bytes");
        }
        if (size != bytes.size() - 4 - 4 * n) refuse(4 + 4 * n, message("the dimensions ask for ", size, " bytes of data, the file has ", bytes.size() - 4 - 4 * n));
        result.data = all.part(4 + 4 * n, static_cast<std::size_t>(size));
        return result;
    }
};

/// Images and labels in memory; items share the bytes.
class idx_source {
public:
    using item_type = keyed<idx_item>;
    static constexpr char const* name = "read_idx";

    idx_source(std::string const& images_path, std::string const& labels_path) {
        auto images = idx_array::read(images_path);
        auto labels = idx_array::read(labels_path);
        auto const refuse = [](std::string const& path, std::string const& why, std::string_view hint) {
            throw stage_error("read_idx", fault::content, place{path, {}, {}, {}}, why, hint);
        };
        if (images.type != 0x08 || images.dimensions.size() != 3)
            refuse(images_path, message("images must be bytes of 3 dimensions (00000803), these have type ", int{images.type}, " and ", images.dimensions.size(), " dimensions"),
                   "the images come first: read_idx(images, labels)");
        if (labels.type != 0x08 || labels.dimensions.size() != 1)
            refuse(labels_path, message("labels must be bytes of 1 dimension (00000801), these have type ", int{labels.type}, " and ", labels.dimensions.size(), " dimensions"),
                   "the labels come second: read_idx(images, labels)");
        if (images.dimensions[0] != labels.dimensions[0])
            refuse(labels_path, message("has ", labels.dimensions[0], " labels, but ", images_path, " has ", images.dimensions[0], " images"), "take both files from the same set");
        n_ = images.dimensions[0];
        rows_ = images.dimensions[1];
        columns_ = images.dimensions[2];
        images_ = std::move(images.data);
        labels_ = std::move(labels.data);
        digits_ = (std::max<std::size_t>)(6, std::to_string(n_ == 0 ? 0 : n_ - 1).size());
    }

    std::optional<item_type> next() { return i_ == n_ ? std::nullopt : std::optional(item(i_++)); }
    std::uint64_t size() const { return n_; }
    item_type item(std::uint64_t number) const {
        auto const i = static_cast<std::size_t>(number);
        auto const size = std::size_t{rows_} * columns_;
        auto key = std::to_string(i);
        key.insert(0, digits_ - key.size(), '0');
        return item_type{i, pass_, cover::at(pass_ * n_ + i), std::move(key), 1, idx_item{images_.part(i * size, size), rows_, columns_, labels_.u8()[i]}};
    }
    bool discard() { return i_ != n_ && ++i_ != 0; }
    void reset(epoch e) {
        i_ = 0;
        pass_ = e.index;
    }
    size_hint hint() const { return {n_ - i_, n_ - i_}; }
    chain_facts facts() const { return whole_of(n_); }
    void save(state_writer& w) const { w.stage(name, 1).put("size", n_).put("at", i_).put("pass", pass_); }
    void load(state_reader& r) {
        auto const record = r.stage(name, 1);
        auto const size = record.get("size"), at = record.get("at");
        if (size != n_ || at > n_)
            throw state_error(message("load: read_idx: saved at ", at, " of ", size, ", these files have ", n_, "\n  HINT: build the chain over the files that were saved"));
        i_ = at;
        pass_ = record.get("pass");
    }

private:
    blob images_{}, labels_{};
    std::uint64_t n_ = 0, i_ = 0, pass_ = 0;
    std::uint32_t rows_ = 0, columns_ = 0;
    std::size_t digits_ = 6;
};

/// The images and labels of an IDX pair, keyed "000000", "000001", ... by their place in the file. Files that begin with gzip's magic are
/// unpacked; both are checked whole before the first item.
///
/// Order    the files'
/// Buffers  both files, unpacked (47 MB for 60,000 images of 28 x 28)
/// Resume   exact, two integers; in another world with split_by_rank right behind it
/// Threads  none
/// Errors   stage_error naming the file, when it is called: missing or damaged files, another type or shape, unequal numbers
///
///     read_idx("images-idx3-ubyte", "labels-idx1-ubyte") | count()    // 5, as many as both files hold
inline auto read_idx(std::string const& images_path, std::string const& labels_path) { return pipeline(idx_source(images_path, labels_path)); }

}  // namespace penstock
