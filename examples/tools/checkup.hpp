// Implements: checkup, what a walk over the headers of a shard finds: samples, fields, damage, what no sample gets, keys.
#pragma once

#include <penstock/formats/tar_keys.hpp>    // defines: tar_keys
#include <penstock/formats/tar_walker.hpp>  // defines: tar_walker, damaged_shard, tar_allow, left_out
#include <penstock/io/open_file.hpp>        // defines: open_file

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tools {

struct field_sizes {
    std::uint64_t count = 0, bytes = 0, empty = 0;
};
struct key_place {
    std::uint64_t hash = 0, byte = 0;
    std::uint32_t shard = 0;
};
struct shard_checkup {
    std::string path{};
    std::uint64_t bytes = 0, samples = 0;  ///< samples that can be read
    std::uint64_t places = 0;              ///< and those with a fault, which are counted and are an error when they are read
    std::string damage{}, cause{}, hint{}, key{};
    std::uint64_t byte = 0;
    std::vector<std::string> returning{};  ///< every key that comes back, of which a reader meets the first
    std::vector<std::string> faults{};                        ///< of single samples
    std::map<std::string, field_sizes> fields{};
    std::map<std::string, std::pair<std::uint64_t, std::string>> sets{};  ///< which extensions a sample has: how many do, and the key of the first
    struct refusal {
        std::uint64_t count = 0, byte = 0;
        std::string first{};
    };
    std::map<penstock::left_out::kind, refusal> refused{};  ///< for each of which a reader refuses the shard, unless it is allowed
    penstock::skipped_members skipped{};
    bool global_headers = false;
};

/// The key of the sample whose first header lies at `byte`.
inline std::string key_at(std::string const& path, std::uint64_t byte) {
    auto walker = penstock::detail::tar_walker(penstock::io::open_file(path), {.allow = {.missing_end = true}});
    walker.jump(0, byte);
    try {
        walker.discard();
    } catch (penstock::stage_error const&) {
    }
    return walker.last_key();
}

/// A reader ends at the first key that comes back: goes on behind it for the other ones, and for faults of samples that were not `walked`.
inline void find_returning(std::string const& path, std::uint64_t walked, penstock::tar_allow allow, shard_checkup& found) {
    auto walker = penstock::detail::tar_walker(penstock::io::open_file(path), {.allow = allow});
    walker.jump(0, 0);  // from here on it compares no keys
    auto keys = penstock::detail::tar_keys{};
    try {
        while (walker.discard()) {
            auto const& key = walker.last_key();
            if (auto const before = keys.add(key, walker.first_byte(), [&](std::uint64_t byte) { return key_at(path, byte) == key; }))
                found.returning.push_back(penstock::message("'", key, "' at byte ", walker.first_byte(), ", before at byte ", *before));
            if (walker.fault() && walker.index() > walked) found.faults.push_back(walker.fault()->what());
        }
    } catch (penstock::damaged_shard const& e) {
        found.cause += penstock::message("; at byte ", e.where.byte.value_or(0), " it is ", penstock::name_of(e.damage), " as well: ", e.because);
    }
}

/// Walks one shard. Nothing is thrown: what is wrong with it is what is asked.
inline shard_checkup check_shard(std::string const& path, std::uint32_t number, std::vector<key_place>* keys) {
    auto found = shard_checkup{.path = path};
    auto const refuse = [&](penstock::stage_error const& e) {
        found.cause = e.cause;
        found.hint = e.hint;
        found.key = e.where.key;
        found.byte = e.where.byte.value_or(0);
    };
    try {
        auto const source = penstock::io::open_file(path);
        found.bytes = source->size();
        auto const note = [&](penstock::left_out const& one) {
            auto& all = found.refused[one.what];
            if (all.count++ == 0) all.first = one.text, all.byte = one.where.byte.value_or(0);
        };
        constexpr auto allow = penstock::tar_allow{.links = true, .special = true, .no_field = true, .joined = true, .trailing = true};
        auto walker = penstock::detail::tar_walker(source, {.allow = allow, .told = note});
        auto extensions = std::vector<std::string>{};
        try {
            while (walker.discard()) {
                if (walker.fault()) {
                    found.faults.push_back(walker.fault()->what());
                    continue;
                }
                ++found.samples;
                extensions.clear();
                for (auto const& m : walker.last_members()) {
                    auto& f = found.fields[m.name];
                    ++f.count;
                    f.bytes += m.size;
                    f.empty += m.size == 0 ? 1 : 0;
                    extensions.push_back(m.name);
                }
                std::sort(extensions.begin(), extensions.end());
                auto set = std::string{};
                for (auto const& e : extensions) set += (set.empty() ? "" : " ") + e;
                auto& same = found.sets[set];
                if (same.first++ == 0) same.second = walker.last_key();
                if (keys != nullptr) keys->push_back({std::hash<std::string>{}(walker.last_key()), walker.first_byte(), number});
            }
        } catch (penstock::damaged_shard const& e) {
            found.damage = penstock::name_of(e.damage);
            refuse(e);
            found.cause = e.because;
            if (e.damage == penstock::damage::returning_key) find_returning(path, walker.index(), allow, found);
        }
        found.places = walker.index();
        found.skipped = walker.skipped();
        found.global_headers = walker.global_headers();
    } catch (penstock::stage_error const& e) {
        found.damage = "unreadable";
        refuse(e);
    }
    return found;
}

}  // namespace tools
