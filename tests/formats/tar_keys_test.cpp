// Implements: tests of tar_keys against a set, in ascending and any other order, and with equal hashes of other keys.
#include <penstock/formats/tar_keys.hpp>

#include <penstock/core/random.hpp>

#include <cstdint>
#include <map>
#include <string>

#include <support/catch.hpp>

TEST_CASE("tar_keys: tells where a key was before, in whatever order keys come", "[unit][formats]") {
    auto draw = penstock::random_stream(5, 0, 0);
    for (int round = 0; round != 200; ++round) {
        auto keys = penstock::detail::tar_keys{};
        auto seen = std::map<std::string, std::uint64_t>{};
        auto const ascending = draw.below(40), range = 1 + draw.below(2000);
        for (std::uint64_t at = 0; at != 100; ++at) {
            auto const key = at < ascending ? std::to_string(100'000 + at) : std::to_string(100'000 + draw.below(range));
            auto const before = keys.add(key, at, [&](std::uint64_t byte) { return seen.contains(key) && seen.at(key) == byte; });
            CHECK(before == (seen.contains(key) ? std::optional(seen.at(key)) : std::nullopt));
            seen.try_emplace(key, at);
        }
    }
}

TEST_CASE("tar_keys: equal hashes are settled by looking, and an error there changes nothing", "[unit][formats]") {
    auto keys = penstock::detail::tar_keys{};
    auto const never = [](std::uint64_t) { return false; };
    CHECK_FALSE(keys.add("b", 0, never));
    CHECK_FALSE(keys.add("b", 512, never));  // as if another key had this hash
    CHECK_THROWS(keys.add("b", 1024, [](std::uint64_t) -> bool { throw 1; }));
    CHECK_FALSE(keys.add("b", 1024, never));
    CHECK(keys.add("b", 2048, [](std::uint64_t byte) { return byte == 512; }) == 512);
}
