// Implements: epoch, what reset() hands from the end of a chain to its source.
#pragma once

#include <penstock/core/random.hpp>  // defines: mix64, child_key

#include <cstdint>
#include <string_view>

namespace penstock {

class ledger;

/// Which epoch to rewind to, and the key that the random stages of it draw from.
///
/// A random stage uses `key` and passes `child("its name")` upstream; a fan-in passes `branch(name)`; every other stage passes the
/// epoch on as it is, so inserting one changes no random number. The key belongs to (seed, path); `index` goes into the counter.
/// Sources order their data by `line`, which belongs to (seed, branches) alone, zip's and join_by_key's having one for all: a position of the line is
/// the same sample whatever stages follow, so a ledger goes on with another chain.
struct epoch {
    std::uint64_t seed = 0;
    std::uint64_t index = 0;
    std::uint64_t key = mix64(seed);
    std::uint64_t line = mix64(seed);
    ledger const* used = nullptr;      ///< of the sources below: what is not to be delivered again; looked at during reset alone
    std::uint32_t* claims = nullptr;   ///< counts the sources below that do so

    static constexpr epoch of(std::uint64_t seed, std::uint64_t index) { return {.seed = seed, .index = index}; }

    constexpr epoch child(std::string_view stage) const { return {seed, index, child_key(key, stage), line, used, claims}; }
    /// Without the ledger: what may be kept beyond the reset.
    constexpr epoch plain() const { return {seed, index, key, line}; }
    epoch branch(std::string_view name) const;  // in ledger.hpp

    friend bool operator==(epoch const&, epoch const&) = default;
};

}  // namespace penstock
