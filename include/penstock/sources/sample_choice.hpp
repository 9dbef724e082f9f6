// Implements: sample_choice, which samples of each shard belong to a part of the data set that is held out, or to the rest; chosen_samples.
#pragma once

#include <penstock/core/random.hpp>  // defines: random_stream, mix64, child_key

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace penstock {

/// A part of a data set, chosen sample by sample.
enum class part {
    all,    ///< every sample
    train,  ///< those that are not held out
    val,    ///< those that are
};

/// Which samples of a shard are held out: `held` / 2^32 of them, on every machine and for ever the same ones.
///
/// The choice knows a shard's base name and a sample's number in it, and nothing else: neither other shards, nor their order, nor a seed.
/// Of the first i samples floor(i * held / 2^32 + phase) are held out, where the phase in [0, 1) is the shard's own, so that small shards
/// give their share on average: counts are arithmetic. That holds where blocks end; inside a block it is a uniform choice (Floyd's), drawn from Philox.
class sample_choice {
public:
    sample_choice() = default;
    sample_choice(part which, std::uint64_t held) : which_(which), held_(held) {
        // blocks of about 16 samples of the rarer kind: to find one sample costs as many draws
        auto const rare = (std::min)(held, whole - held);
        block_ = which == part::all ? most_block : std::clamp(std::bit_ceil(16 * whole / (std::max)(rare, std::uint64_t{1})), std::uint64_t{64}, most_block);
    }

    part which() const { return which_; }
    std::uint64_t held() const { return held_; }
    friend bool operator==(sample_choice const&, sample_choice const&) = default;

    /// What the choice knows a shard by.
    static std::uint64_t key(std::string_view path) { return child_key(0, path.substr(path.rfind('/') + 1)); }
    /// Samples of the part in a shard of n samples.
    std::uint64_t count(std::uint64_t shard_key, std::uint64_t n) const { return which_ == part::all ? n : before(shard_key, n); }

    static constexpr std::uint64_t whole = std::uint64_t{1} << 32;

private:
    friend class chosen_samples;
    static constexpr std::uint64_t most_block = 4096;
    __extension__ using wide = unsigned __int128;

    static std::uint64_t phase(std::uint64_t shard_key) { return mix64(shard_key) & (whole - 1); }
    /// Of the first i samples, i being where a block or the shard ends, those that are held out, and those of the part.
    std::uint64_t held_before(std::uint64_t shard_key, std::uint64_t i) const { return static_cast<std::uint64_t>((wide{i} * held_ + phase(shard_key)) / whole); }
    std::uint64_t before(std::uint64_t shard_key, std::uint64_t i) const {
        auto const held = held_before(shard_key, i);
        return which_ == part::val ? held : i - held;
    }
    /// The least i for which before(i) > k: the inverse of the two above.
    std::uint64_t reach(std::uint64_t shard_key, std::uint64_t k) const {
        if (which_ == part::val) return static_cast<std::uint64_t>((wide{k + 1} * whole - phase(shard_key) + held_ - 1) / held_);
        return static_cast<std::uint64_t>((wide{k} * whole + phase(shard_key)) / (whole - held_)) + 1;
    }

    part which_ = part::all;
    std::uint64_t held_ = 0, block_ = most_block;
};

/// The samples of one shard that belong to the part, by their number among these; one block of the choice is remembered.
class chosen_samples {
public:
    chosen_samples() = default;
    chosen_samples(sample_choice const& choice, std::uint64_t shard_key, std::uint64_t samples) : choice_(choice), key_(shard_key), samples_(samples) {}

    /// Number in the shard of the k-th one, k < count.
    std::uint64_t at(std::uint64_t k) {
        if (choice_.which_ == part::all) return k;
        if (k < first_ || k >= end_) draw(k);
        auto left = k - first_;
        std::size_t w = 0;
        for (auto bits = static_cast<std::uint64_t>(std::popcount(words_[w])); bits <= left; bits = static_cast<std::uint64_t>(std::popcount(words_[w]))) {
            left -= bits;
            ++w;
        }
        auto word = words_[w];
        for (; left != 0; --left) word &= word - 1;
        return begin_ + 64 * w + static_cast<std::uint64_t>(std::countr_zero(word));
    }

private:
    /// The block that holds the k-th one: a bit for each of its samples that belongs to the part.
    void draw(std::uint64_t k) {
        auto const block = (choice_.reach(key_, k) - 1) / choice_.block_;
        begin_ = block * choice_.block_;
        auto const end = (std::min)(begin_ + choice_.block_, samples_);
        first_ = choice_.before(key_, begin_);
        end_ = choice_.before(key_, end);
        auto const n = static_cast<std::uint32_t>(end - begin_);
        auto const held = static_cast<std::uint32_t>(choice_.held_before(key_, end) - choice_.held_before(key_, begin_));
        bool const draws_held = held <= n / 2;
        words_.assign(choice_.block_ / 64, 0);
        auto const has = [this](std::uint32_t i) { return (words_[i / 64] >> (i % 64) & 1) != 0; };
        auto const set = [this](std::uint32_t i) { words_[i / 64] |= std::uint64_t{1} << (i % 64); };
        random_stream random(key_, block, 0);
        for (auto i = draws_held ? n - held : held; i != n; ++i) {
            auto const j = random.below(i + 1);
            set(has(j) ? i : j);
        }
        if (draws_held == (choice_.which_ == part::val)) return;
        for (std::size_t w = 0; w != words_.size(); ++w) {
            auto const inside = n - (std::min)(n, static_cast<std::uint32_t>(64 * w));
            words_[w] = ~words_[w] & (inside >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << inside) - 1);
        }
    }

    sample_choice choice_{};
    std::uint64_t key_ = 0, samples_ = 0;
    std::uint64_t begin_ = 0;            // first sample of the block
    std::uint64_t first_ = 0, end_ = 0;  // of the part: those in the block
    std::vector<std::uint64_t> words_{};
};

}  // namespace penstock
