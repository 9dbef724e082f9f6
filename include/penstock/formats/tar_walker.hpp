// Implements: tar_walker, the samples of one shard: groups members by key and lets go only of samples known to be whole.
#pragma once

#include <penstock/core/fields.hpp>          // defines: fields, shard_name
#include <penstock/formats/shard_block.hpp>  // defines: shard_block
#include <penstock/formats/tar_members.hpp>  // defines: tar_members, tar_member, damaged_shard, damage
#include <penstock/formats/tar_name.hpp>     // defines: tar_name, ascii_lower

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

struct tar_options {
    bool allow_missing_end = false;                      ///< a shard that ends between two members is whole (some writers leave the marker out)
    std::optional<std::uint64_t> expected_samples = {};  ///< from an index: any other number is damage (index_mismatch)
    /// Asked when the file ends too early: the block of the shard from when it was whole. A last sample that the block says ends there is whole.
    std::function<std::shared_ptr<shard_block const>()> block = {};
};

/// Members of a shard that are no fields of a sample, by reason.
struct skipped_members {
    std::uint64_t directories = 0;
    std::uint64_t links = 0;     ///< symbolic and hard links: a field stored as a link is lost, so this should be 0
    std::uint64_t devices = 0;   ///< devices, FIFOs, volume labels and unknown types
    std::uint64_t meta = 0;      ///< "__name__"
    std::uint64_t hidden = 0;    ///< base name starts with a dot
    std::uint64_t no_match = 0;  ///< no dot in the base name
};

namespace detail {

/// A sample is a maximal run of fields with one key. It is given only after the header of another key, or the end marker, was verified, or
/// where a block says that it ends.
/// damaged_shard ends the walk, unless it costs_one_sample(): then that sample is consumed and the next call continues behind it.
/// Any other error (I/O) changes nothing: the call may be repeated. Payloads are read once, when their sample is asked for.
class tar_walker {
public:
    tar_walker(std::shared_ptr<io::byte_source> source, std::shared_ptr<shard_name const> name, tar_options options = {})
        : source_(std::move(source)), name_(std::move(name)), options_(options), members_(source_, options.allow_missing_end) {}
    explicit tar_walker(std::shared_ptr<io::byte_source> source, tar_options options = {})
        : tar_walker(source, std::make_shared<shard_name const>(shard_name{source->name()}), options) {}

    /// The next sample; empty at the end of the shard.
    std::optional<fields> next() {
        if (!advance(true)) return std::nullopt;
        auto whole = fields(name_, std::move(key_), first_);
        for (auto& f : found_) whole.add(std::move(f.name), std::move(f.bytes));
        return whole;
    }
    /// Goes on with sample number `n`, whose first header lies at `byte`; no global pax header may have come before it.
    /// With `end` that sample alone is read: it is whole there, and what lies behind is not looked at.
    void jump(std::uint64_t n, std::uint64_t byte, std::uint64_t end = 0) {
        members_.jump(byte);
        end_ = end;
        have_member_ = open_ = false;
        later_.reset();
        index_ = n;
    }
    /// Passes the next sample by its headers; false at the end of the shard. A sample with a fault of its own passes silently.
    bool discard() { return advance(false); }
    /// Passes up to n samples and says how many there were.
    std::uint64_t skip(std::uint64_t n) {
        std::uint64_t passed = 0;
        while (passed < n && discard()) ++passed;
        return passed;
    }

    /// Samples passed so far, faulty ones included: the number of the next sample in the shard.
    std::uint64_t index() const { return index_; }
    /// 1 after damage that cost a sample whose first files were there already, else 0.
    std::uint64_t dropped() const { return dropped_; }
    skipped_members const& skipped() const { return skipped_; }
    /// The fault of the sample that discard() passed last, for which next() would have thrown.
    std::optional<damaged_shard> const& fault() const { return fault_; }
    /// Of the sample that was passed last.
    std::uint64_t first_byte() const { return first_; }
    std::string const& last_key() const { return key_; }
    /// Its members that are fields, in the order of the shard. `name` is the extension after discard(), moved away after next().
    struct mark {
        std::string name{};
        blob bytes{};
        std::uint64_t data = 0, size = 0;
    };
    std::span<mark const> last_members() const { return found_; }
    /// At the end of the shard: where its last member ends. And whether a global pax header was met.
    std::uint64_t offset() const { return members_.offset(); }
    bool global_headers() const { return members_.global_headers(); }

private:
    bool advance(bool with_payload) {
        if (later_) throw *std::exchange(later_, std::nullopt);
        try {
            return collect(with_payload);
        } catch (damaged_shard const& e) {
            if (e.costs_one_sample()) throw;
            bool const cut = e.damage == damage::missing_end || e.damage == damage::truncated;
            if (cut && open_ && ends_by_block(pending_first_, members_.offset())) return release_before(e, with_payload);
            dropped_ = open_ ? 1 : 0;
            open_ = false;
            members_.end();
            have_member_ = false;
            if (!e.where.key.empty() || dropped_ == 0) throw;
            throw members_.error(e.damage, e.where.byte.value_or(0), pending_key_, e.cause);
        }
    }

    /// Gathers members until the sample that is open is known to be whole.
    bool collect(bool with_payload) {
        while (true) {
            if (!have_member_) {
                if (end_ != 0 && open_ && members_.offset() >= end_) return release(with_payload);
                if (!members_.next(member_)) {
                    if (open_) return release(with_payload);
                    check_count(index_);
                    return false;
                }
                have_member_ = true;
            }
            auto const name = usable();
            if (name && open_ && name->key != pending_key_) return release(with_payload);  // the member waits for the next call
            bool const last = member_.cut && name && source_->size() - member_.data >= member_.size &&
                              ends_by_block(open_ ? pending_first_ : member_.header, member_.data + tar_padded(member_.size));  // only padding is missing
            if (member_.cut && !last) members_.throw_cut(member_, name ? name->key : std::string_view{});
            if (!name) {
                have_member_ = false;
                continue;
            }
            if (!open_) begin(name->key);
            add(ascii_lower(name->extension), with_payload);
            if (last) {
                try {
                    members_.throw_cut(member_, pending_key_);
                } catch (damaged_shard const& e) {
                    return release_before(e, with_payload);
                }
            }
            have_member_ = false;
        }
    }
    /// Whether the block says that the sample which begins at `first` is the next one, and ends at `end`: every byte between was walked.
    bool ends_by_block(std::uint64_t first, std::uint64_t end) const {
        auto const block = options_.block ? options_.block() : nullptr;
        return block && index_ < block->samples() && block->offset(index_) == first && block->offset(index_ + 1) == end;
    }
    /// The sample that is open comes before the damage, which the next call throws.
    bool release_before(damaged_shard const& e, bool with_payload) {
        later_.emplace(e);
        members_.end();
        have_member_ = false;
        return release(with_payload);
    }
    void begin(std::string_view key) {
        if (options_.expected_samples && index_ >= *options_.expected_samples)
            throw members_.error(damage::index_mismatch, member_.header, key, message("the index says ", *options_.expected_samples, " samples, and here is one more"));
        pending_key_ = key;
        pending_first_ = member_.header;
        pending_.clear();
        fault_.reset();
        open_ = true;
    }
    void add(std::string extension, bool with_payload) {
        if (extension.starts_with("__"))
            note(damage::reserved_field, message("member '", member_.name, "' has a reserved extension"));
        else if (std::any_of(pending_.begin(), pending_.end(), [&](auto const& f) { return f.name == extension; }))
            note(damage::duplicate_field, message("field '", extension, "' is there twice; the second is member '", member_.name, "'"));
        auto bytes = with_payload && !fault_ ? source_->read(member_.data, static_cast<std::size_t>(member_.size)) : blob{};
        pending_.push_back({std::move(extension), std::move(bytes), member_.data, member_.size});
    }
    void note(damage what, std::string cause) {
        if (!fault_) fault_.emplace(members_.error(what, member_.header, pending_key_, cause));
    }
    bool release(bool with_payload) {
        open_ = false;
        ++index_;
        std::swap(found_, pending_);
        std::swap(key_, pending_key_);
        first_ = pending_first_;
        if (fault_ && with_payload) throw *std::exchange(fault_, std::nullopt);
        return true;
    }
    void check_count(std::uint64_t samples) {
        auto const expected = std::exchange(options_.expected_samples, std::nullopt);
        if (expected && *expected != samples)
            throw members_.error(damage::index_mismatch, members_.offset(), {}, message("the index says ", *expected, " samples, the shard ends after ", samples));
    }

    std::optional<tar_name> usable() {
        switch (member_.type) {
            case '0': break;
            case '5': ++skipped_.directories; return std::nullopt;
            case '1':
            case '2': ++skipped_.links; return std::nullopt;
            default: ++skipped_.devices; return std::nullopt;
        }
        auto const name = tar_name::of(member_.name);
        switch (name.kind) {
            case tar_name::use::field: return name;
            case tar_name::use::meta: ++skipped_.meta; break;
            case tar_name::use::hidden: ++skipped_.hidden; break;
            case tar_name::use::no_match: ++skipped_.no_match; break;
        }
        return std::nullopt;
    }

    std::shared_ptr<io::byte_source> source_;
    std::shared_ptr<shard_name const> name_;
    tar_options options_;
    tar_members members_;
    tar_member member_{};
    bool have_member_ = false;  // member_ is read and belongs to the sample after the one just given, or its payload failed
    bool open_ = false;
    std::vector<mark> pending_{}, found_{};
    std::string pending_key_{}, key_{};
    std::uint64_t pending_first_ = 0, first_ = 0, index_ = 0, dropped_ = 0;
    std::uint64_t end_ = 0;  // of the one sample that is read, if not 0
    std::optional<damaged_shard> fault_{}, later_{};
    skipped_members skipped_{};
};

}  // namespace detail
}  // namespace penstock
