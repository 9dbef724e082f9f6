// Implements: tar_walker, the samples of one shard: groups members by key and lets go only of samples known to be whole.
#pragma once

#include <penstock/core/fields.hpp>          // defines: fields, shard_name
#include <penstock/core/name_slots.hpp>      // defines: name_slots
#include <penstock/formats/shard_block.hpp>  // defines: shard_block
#include <penstock/formats/tar_keys.hpp>     // defines: tar_keys
#include <penstock/formats/tar_members.hpp>  // defines: tar_members, tar_member, tar_allow, left_out, damaged_shard, damage
#include <penstock/formats/tar_name.hpp>     // defines: tar_name, ascii_lower

#include <cstddef>
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
    tar_allow allow = {};                                ///< what is left out, where it would be damage otherwise
    std::function<void(left_out const&)> told = {};      ///< hears of each thing that is
    std::optional<std::uint64_t> expected_samples = {};  ///< from an index: any other number is damage (index_mismatch)
    /// Asked when the file ends too early: the block of the shard from when it was whole. A last sample that the block says ends there is whole.
    std::function<std::shared_ptr<shard_block const>()> block = {};
};

/// Members of a shard that hold nothing of a sample by rule. Any other member that is no field has to be allowed: tar_allow.
struct skipped_members {
    std::uint64_t directories = 0;  ///< and GNU tar's labels and lists of directories
    std::uint64_t meta = 0;         ///< "__name__" and what lies in such a directory: WebDataset's own
    std::uint64_t companions = 0;   ///< "._name" and ".DS_Store", which archivers on Macs add
};

namespace detail {

/// A sample is a maximal run of fields with one key. It is given only after the header of another key, or the end marker, was verified, or
/// where a block says that it ends. A key that comes back is damage: the sample given before was not all of it.
/// damaged_shard ends the walk, unless it costs_one_sample(): then that sample is consumed and the next call continues behind it.
/// Any other error (I/O) changes nothing: the call may be repeated. Payloads are read once, when their sample is asked for.
class tar_walker {
public:
    tar_walker(std::shared_ptr<io::byte_source> source, std::shared_ptr<shard_name const> name, tar_options options = {})
        : source_(std::move(source)), name_(std::move(name)), options_(std::move(options)), members_(source_, options_.allow, options_.told) {}
    explicit tar_walker(std::shared_ptr<io::byte_source> source, tar_options options = {})
        : tar_walker(source, std::make_shared<shard_name const>(shard_name{source->name()}), std::move(options)) {}

    /// The next sample; empty at the end of the shard.
    std::optional<fields> next() {
        if (!advance(true)) return std::nullopt;
        auto whole = fields(name_, std::move(key_), first_);
        for (auto& f : found_) whole.add(std::move(f.name), std::move(f.bytes));
        return whole;
    }
    /// Goes on with sample number `n`, whose first header lies at `byte`; no global pax header may have come before it.
    /// With `end` that sample alone is read: it is whole there, and what lies behind is not looked at. Keys are not compared from here on:
    /// who knows where samples lie has walked the shard.
    void jump(std::uint64_t n, std::uint64_t byte, std::uint64_t end = 0) {
        members_.jump(byte);
        end_ = end;
        have_member_ = open_ = false;
        later_.reset();
        compares_keys_ = false;
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
    /// The fault of the sample that was passed last: next() threw it, discard() kept silent.
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
    /// Where the member begins that was looked at last and not used yet; at the end of the shard, where its last member ends.
    std::uint64_t offset() const { return have_member_ ? member_.header : members_.offset(); }
    /// Whether a global pax header was met.
    bool global_headers() const { return members_.global_headers(); }

private:
    bool advance(bool with_payload) {
        if (later_) throw *std::exchange(later_, std::nullopt);
        try {
            return collect(with_payload);
        } catch (damaged_shard const& e) {
            if (e.costs_one_sample()) throw;
            bool const cut = e.damage == damage::missing_end || e.damage == damage::truncated;
            if (open_ && (e.damage == damage::behind_end || (cut && ends_by_block(pending_first_, members_.offset())))) return release_before(e, with_payload);
            dropped_ = open_ ? 1 : 0;
            open_ = false;
            members_.end();
            have_member_ = false;
            if (!e.where.key.empty() || dropped_ == 0) throw;
            throw damaged_shard(e.stage, e.damage, place{e.where.shard, pending_key_, e.where.byte, {}}, e.because, e.hint);
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
            auto const name = tar_name::of(member_.name);
            auto const use = use_of(name);
            bool const of_another = name.kind == tar_name::use::field && name.key != pending_key_;
            bool const refused = use.needs && !members_.allows(*use.needs);
            if (open_ && (member_.border || (of_another && (use.field || refused)))) return release(with_payload);  // the member waits for the next call
            bool const last = member_.cut && use.field && source_->size() - member_.data >= member_.size &&
                              ends_by_block(open_ ? pending_first_ : member_.header, member_.data + tar_padded(member_.size));  // only padding is missing
            if (member_.cut && !last) members_.throw_cut(member_, use.field ? name.key : std::string_view{});
            if (!use.field) {
                if (use.needs) members_.leave_out(*use.needs, member_.header, name.key, message("member '", member_.name.substr(0, 200), "' is ", use.why));
                else ++(skipped_.*use.by_rule);
                have_member_ = false;
                continue;
            }
            if (!open_) begin(name.key);
            add(ascii_lower(name.extension), with_payload);
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
        auto const same = [&](std::uint64_t byte) { return key_at(byte) == key; };
        if (auto const before = compares_keys_ ? keys_.add(key, member_.header, same) : std::nullopt)
            throw members_.error(damage::returning_key, member_.header, key, message("files of this sample lie apart, the first at byte ", *before));
        if (options_.expected_samples && index_ >= *options_.expected_samples)
            throw members_.error(damage::index_mismatch, member_.header, key, message("the index says ", number_of(*options_.expected_samples, "sample"), ", and here is one more"));
        pending_key_ = key;
        pending_first_ = member_.header;
        pending_.clear();
        names_.clear();
        fault_.reset();
        open_ = true;
    }
    void add(std::string extension, bool with_payload) {
        if (extension.starts_with("__"))
            note(damage::reserved_field, message("member '", member_.name, "' has a reserved extension"));
        else if (names_.find(extension, pending_) != pending_.size())
            note(damage::duplicate_field, message("field '", extension, "' is there twice; the second is member '", member_.name, "'"));
        auto bytes = with_payload && !fault_ ? source_->read(member_.data, static_cast<std::size_t>(member_.size)) : blob{};
        pending_.push_back({std::move(extension), std::move(bytes), member_.data, member_.size});
        names_.added(pending_);
    }
    std::string key_at(std::uint64_t byte) const {
        auto there = tar_members(source_, {}, {}, byte);
        auto m = tar_member{};
        there.next(m);
        return std::string(tar_name::of(m.name).key);
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
        if (fault_ && with_payload) throw *fault_;
        return true;
    }
    void check_count(std::uint64_t samples) {
        auto const expected = std::exchange(options_.expected_samples, std::nullopt);
        if (expected && *expected != samples)
            throw members_.error(damage::index_mismatch, members_.offset(), {}, message("the index says ", number_of(*expected, "sample"), ", the shard ends after ", samples));
    }

    /// What a member is to a reader: a field, nothing by rule, or something that the caller has to allow.
    struct purpose {
        bool field = false;
        std::uint64_t skipped_members::* by_rule = nullptr;
        std::optional<left_out::kind> needs = {};
        std::string why = {};
    };
    purpose use_of(tar_name const& name) const {
        auto const special = [](std::string why) { return purpose{.needs = left_out::kind::special, .why = std::move(why)}; };
        switch (member_.type) {
            case '0': break;
            case '5':
            case 'D':
            case 'V': return {.by_rule = &skipped_members::directories};
            case '1': return {.needs = left_out::kind::link, .why = "a hard link, which holds no data"};
            case '2': return {.needs = left_out::kind::link, .why = "a symbolic link, which holds no data"};
            case '3': return special("a character device");
            case '4': return special("a block device");
            case '6': return special("a FIFO");
            default: return special(message("of type '", member_.type, "', which is not known here"));
        }
        switch (name.kind) {
            case tar_name::use::field: return {.field = true};
            case tar_name::use::meta: return {.by_rule = &skipped_members::meta};
            case tar_name::use::companion: return {.by_rule = &skipped_members::companions};
            case tar_name::use::hidden: return {.needs = left_out::kind::no_field, .why = "a file whose name begins with a dot"};
            case tar_name::use::no_match: break;
        }
        return {.needs = left_out::kind::no_field, .why = "a file without an extension"};
    }

    std::shared_ptr<io::byte_source> source_;
    std::shared_ptr<shard_name const> name_;
    tar_options options_;
    tar_members members_;
    tar_member member_{};
    bool have_member_ = false;  // member_ is read and belongs to the sample after the one just given, or its payload failed
    bool open_ = false;
    std::vector<mark> pending_{}, found_{};
    name_slots names_{};  // of pending_
    tar_keys keys_{};
    bool compares_keys_ = true;
    std::string pending_key_{}, key_{};
    std::uint64_t pending_first_ = 0, first_ = 0, index_ = 0, dropped_ = 0;
    std::uint64_t end_ = 0;  // of the one sample that is read, if not 0
    std::optional<damaged_shard> fault_{}, later_{};
    skipped_members skipped_{};
};

}  // namespace detail
}  // namespace penstock
