// Prints a hash of the order of epochs, and fails where it is not the recorded one: an order depends on (seed, pass, sample) alone, never on compiler,
// flags, library or machine. Built several times, see CMakeLists.txt. With the argument `list` it prints the first ids instead, for the eye.
#include <penstock/core/any_pipeline.hpp>
#include <penstock/sources/permuted.hpp>
#include <penstock/sources/planned_reader.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/interleave.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>
#include <penstock/stages/unbatch.hpp>

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ps = penstock;

namespace {

/// Shards that hold nothing but their length.
struct counted_shard {
    std::uint64_t samples, at = 0;
    std::optional<std::uint64_t> next() { return at == samples ? std::nullopt : std::optional(at++); }
    bool discard() { return next().has_value(); }
    std::uint64_t skip(std::uint64_t n) { return at += (std::min)(n, samples - at), n; }
    std::uint64_t index() const { return at; }
    void cancel() noexcept {}
};
struct counted_format {
    using value_type = std::uint64_t;
    static constexpr char const* stage = "read_counted";
    std::shared_ptr<counted_shard> open(std::string const&, std::uint64_t samples) { return std::make_shared<counted_shard>(counted_shard{samples}); }
    std::string key(std::uint64_t i) { return std::to_string(i); }
    std::uint64_t bytes(std::uint64_t) { return 1; }
};

using batches = ps::batch_of<std::uint64_t>;
using chain = ps::any_pipeline<batches>;

chain shards(std::vector<std::uint64_t> const& counts, ps::world w, std::int64_t window, std::int64_t batch) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i != counts.size(); ++i) names.push_back("shard" + std::to_string(i));
    auto items = ps::shard_list(names, {.counts = counts}) | ps::shuffle_shards() | ps::split_by_rank(w)
               | ps::plan_stage("read_counted", [](ps::shard_plan p) { return ps::planned_reader<counted_format>(std::move(p), {}); });
    if (window == 0) return ps::any(std::move(items) | ps::batch(batch));
    return ps::any(std::move(items) | ps::shuffle(window) | ps::batch(batch));
}

struct row {
    char const* name;
    std::uint64_t seed, epoch;
    std::uint64_t recorded;
    std::function<chain(ps::world)> make;
};

}  // namespace

int main(int argc, char** argv) {
    bool const list = argc > 1 && std::string_view(argv[1]) == "list";
    std::vector<std::uint64_t> const sizes{311, 0, 17, 1250, 96, 3, 801, 44}, few{90, 12, 150};
    auto const plain = [&](ps::world w) { return shards(sizes, w, 0, 32); };
    auto const shuffled = [&](ps::world w) { return shards(sizes, w, 200, 32); };
    auto const mixed = [&](ps::world w) {
        return ps::any(ps::interleave({.stop = ps::stop_rule::all}, ps::named("a", 0.7, shards(sizes, w, 50, 8)), ps::named("b", 0.3, shards(few, w, 5, 4))));
    };
    auto const at_random = [&](ps::world w) {
        return ps::any(ps::interleave({.stop = ps::stop_rule::all, .picks = ps::picks::random}, ps::named("a", 1e-3, shards(sizes, w, 50, 8)), ps::named("b", 2.5e-4, shards(few, w, 5, 4))));
    };
    auto const permuted = [](ps::world w) {
        return ps::any(ps::permuted(5000) | ps::map([](auto i) { return static_cast<std::uint64_t>(i); }) | ps::shuffle(64) | ps::batch(w.size * 10));
    };
    std::vector<row> const rows{
        {"shards", 0, 0, 0x512e8b7e07ef912b, plain},       {"shards", 7, 0, 0xc5d41271a8002d7f, plain},
        {"shards", 7, 1, 0xabc12a9c1bb94aef, plain},       {"shards", ~std::uint64_t{0}, 1'000'000, 0x479afc485e818243, plain},
        {"shuffle", 0, 0, 0x38c749987a0cbef3, shuffled},   {"shuffle", 7, 0, 0x5c601f9627a05503, shuffled},
        {"shuffle", 7, 1, 0x25fd2e420bc33a7f, shuffled},   {"shuffle", ~std::uint64_t{0}, 1'000'000, 0x90e443a5e759b4db, shuffled},
        {"interleave", 7, 0, 0xdd8fde1f7b1837e1, mixed},   {"interleave", 8, 3, 0x86bd5737aba4333d, mixed},
        {"at random", 7, 0, 0x6ecd4f5aebadaa8d, at_random}, {"at random", 8, 3, 0x42e4989d92bf9859, at_random},
        {"permuted", 7, 0, 0x584e3170577577e5, permuted},  {"permuted", 8, 3, 0xd6c02b53e03d29b5, permuted},
    };
    int wrong = 0;
    for (auto const& r : rows) {
        auto hash = std::uint64_t{0xCBF29CE484222325};  // FNV-1a over what ranks 0 to 2 of 3 deliver
        auto const mix = [&](std::uint64_t n) {
            for (int k = 0; k != 64; k += 8) hash = (hash ^ (n >> k & 255)) * 0x100000001B3;
        };
        for (std::uint32_t rank = 0; rank != 3; ++rank) {
            auto p = r.make({rank, 3});
            p.reset(r.seed, r.epoch);
            int shown = 0;
            while (auto b = p.next()) {
                for (char const c : b->source) mix(static_cast<unsigned char>(c));
                mix(b->size());
                for (auto const v : b->items) mix(v);
                for (auto const id : b->ids) mix(id);
                if (list && shown++ < 2)
                    for (auto const id : b->ids) std::printf(" %" PRIu64, id);
            }
            if (list) std::printf("\n");
        }
        bool const same = hash == r.recorded;
        wrong += !same;
        std::printf("%-10s seed %" PRIu64 " epoch %" PRIu64 ": %016" PRIx64, r.name, r.seed, r.epoch, hash);
        if (same) std::printf("\n");
        else std::printf(" instead of %016" PRIx64 "\n", r.recorded);
    }
    return wrong == 0 ? 0 : 1;
}
