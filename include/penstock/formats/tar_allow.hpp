// Implements: tar_allow, what a reader of tar may leave out of a shard; left_out, one such thing; left_out_log, which counts and tells them.
#pragma once

#include <penstock/core/errors.hpp>              // defines: place, message, number_of
#include <penstock/formats/damage.hpp>           // defines: damage
#include <penstock/formats/shard_progress.hpp>   // defines: note_sink

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace penstock {

/// What a shard may hold although no sample gets it, or may lack. Each is damage unless it is allowed: then it is left out, counted, and told once.
/// Shards that need it are not remembered in an index: what an index speaks of is whole.
struct tar_allow {
    bool links = false;        ///< symbolic and hard links, which hold no data
    bool special = false;      ///< devices, FIFOs, and members of a type that is not known
    bool no_field = false;     ///< files that are no field of a sample: without an extension, or with a name that begins with a dot
    bool joined = false;       ///< archives behind the end marker, as `cat` joins them: they are read as well
    bool trailing = false;     ///< whatever lies behind the end marker and is not zero; with `joined` only what is no archive
    bool missing_end = false;  ///< a shard that ends between two members is whole: some writers leave the end marker out

    bool any() const { return *this != tar_allow{}; }
    friend bool operator==(tar_allow const&, tar_allow const&) = default;
};

/// One thing that was left out.
struct left_out {
    enum class kind { link, special, no_field, joined, trailing, missing_end };
    kind what = kind::link;
    place where{};       ///< shard and byte
    std::string text{};  ///< what an error would say
};

namespace detail {

struct left_out_rule {
    bool tar_allow::* allowed;
    damage otherwise;
    std::string_view one, hint;
    bool loses = true;  ///< somebody's bytes; else all that is there is read
};
inline left_out_rule const& rule_of(left_out::kind what) {
    static constexpr std::array<left_out_rule, 6> rules = {{
        {&tar_allow::links, damage::unsupported, "link", "write the files themselves (tar --dereference --hard-dereference), or leave links out with {.allow = {.links = true}}"},
        {&tar_allow::special, damage::unsupported, "special member", "a shard holds files: write it again without such members, or leave them out with {.allow = {.special = true}}"},
        {&tar_allow::no_field, damage::no_field, "file that is no field", "files are named KEY.EXTENSION: rename it, or leave such files out with {.allow = {.no_field = true}}"},
        {&tar_allow::joined, damage::behind_end, "joined archive", "unpack and write it again as one archive, or read on behind end markers with {.allow = {.joined = true}}", false},
        {&tar_allow::trailing, damage::behind_end, "end with more behind it", "copy or write the shard again, or leave it out with {.allow = {.trailing = true}}"},
        {&tar_allow::missing_end, damage::missing_end, "missing end marker", "the shard is incomplete: copy or download it again", false},
    }};
    return rules[static_cast<std::size_t>(what)];
}

/// Counts what is left out, and tells the first of each kind. Called from several threads.
class left_out_log {
public:
    left_out_log(char const* who, note_sink tell) : who_(who), tell_(std::move(tell)) {}

    /// `for_good`: it lies in what is read for the caller, not in what is only counted, or passed on the way to it.
    void add(left_out const& one, bool for_good) {
        auto const lock = std::lock_guard(guard_);
        if (for_good && rule_of(one.what).loses) ++lost_;
        if (counts_[static_cast<std::size_t>(one.what)]++ != 0 || !tell_) return;
        tell_(message(who_, ": ", one.where.shard, ", byte ", one.where.byte.value_or(0), ": ", one.text, "; that is allowed here, and told this once"));
    }
    /// How many things are missing for good.
    std::uint64_t lost() const {
        auto const lock = std::lock_guard(guard_);
        return lost_;
    }
    /// What was left out so far, each time it was passed; empty: nothing.
    std::string note() const {
        auto const lock = std::lock_guard(guard_);
        auto text = std::string{};
        for (std::size_t i = 0; i != counts_.size(); ++i)
            if (counts_[i] != 0) text += (text.empty() ? "allowed: " : ", ") + number_of(counts_[i], rule_of(static_cast<left_out::kind>(i)).one);
        return text;
    }

private:
    char const* who_;
    note_sink tell_;
    std::array<std::uint64_t, 6> counts_{};
    std::uint64_t lost_ = 0;
    mutable std::mutex guard_;
};

}  // namespace detail
}  // namespace penstock
