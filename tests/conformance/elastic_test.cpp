// Epochs that are cut anew in mid-epoch, again and again: every sample exactly once, and every rank the same number of batches.
#include <penstock/concurrency/prefetch.hpp>
#include <penstock/core/any_pipeline.hpp>
#include <penstock/core/ledger.hpp>
#include <penstock/sources/planned_reader.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/filter.hpp>
#include <penstock/stages/interleave.hpp>
#include <penstock/stages/map.hpp>
#include <penstock/stages/shuffle.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

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

using chain = ps::any_pipeline<ps::batch_of<std::uint64_t>>;

struct config {
    std::vector<std::uint64_t> counts;
    std::uint64_t samples_per_epoch = 0, epoch = 0, seed = 0;
    std::int64_t batch = 1, window = 0;
    std::uint64_t keep = 1;  ///< a filter passes ids that this divides
    bool shuffled = false, ahead = false;

    std::uint64_t samples() const { return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}); }
    std::uint64_t epoch_samples() const { return samples_per_epoch ? samples_per_epoch : samples(); }

    static config draw(std::uint64_t seed, std::uint64_t number) {
        ps::random_stream random(seed, 0, number);
        auto up_to = [&](std::uint32_t most) { return std::uint64_t{random.below(1 + random.below(most))}; };  // small ones more often
        config c;
        c.seed = seed + number;
        c.counts.resize(1 + up_to(200));
        auto const longest = static_cast<std::uint32_t>(1 + up_to(5000 / static_cast<std::uint32_t>(1 + c.counts.size() / 4)));
        for (auto& n : c.counts) n = random.below(4) == 0 ? 0 : random.below(longest + 1);
        c.counts[random.below(static_cast<std::uint32_t>(c.counts.size()))] = longest;
        if (random.below(3) == 0) c.samples_per_epoch = 1 + random.below(static_cast<std::uint32_t>(2 * c.samples()));
        c.epoch = random.below(3);
        c.batch = 1 + random.below(64);
        c.window = random.below(3) == 0 ? 0 : 1 + random.below(300);
        c.keep = random.below(4) == 0 ? 2 + random.below(3) : 1;
        c.shuffled = random.below(4) != 0;
        c.ahead = random.below(8) == 0;
        return c;
    }
    chain make(ps::world w) const {
        auto plan = ps::shard_list(std::vector<std::string>(names()), {.counts = counts, .samples_per_epoch = samples_per_epoch}) | ps::split_by_rank(w);
        auto read = ps::plan_stage("read_counted", [](ps::shard_plan p) { return ps::planned_reader<counted_format>(std::move(p), {}); });
        auto items = ps::any((shuffled ? plan | ps::shuffle_shards() : plan) | read);
        if (keep != 1) items = ps::any(std::move(items) | ps::filter([k = keep](auto i) { return i % k == 0; }));
        if (window != 0) items = ps::any(std::move(items) | ps::shuffle(window));
        auto batches = ps::any(std::move(items) | ps::batch(batch));
        if (ahead) batches = ps::any(std::move(batches) | ps::prefetch(3));
        return batches;
    }
    std::string text() const {
        return ps::message(counts.size(), " shards, ", samples(), " samples, epoch ", epoch, " of ", epoch_samples(), ", batch ", batch, ", shuffle ", window, ", keep ", keep,
                           shuffled ? ", shuffled shards" : "", ahead ? ", prefetch" : "");
    }

private:
    std::vector<std::string> names() const {
        std::vector<std::string> all;
        for (std::size_t i = 0; i != counts.size(); ++i) all.push_back("shard" + std::to_string(i));
        return all;
    }
};

/// What an epoch delivered, over all ranks.
struct delivery {
    explicit delivery(config const& c) : c_(c), count_(c.epoch_samples()) {}
    void add(ps::batch_of<std::uint64_t> const& b) {
        ids_ += b.ids.size();
        b.cover.each([&](ps::interval i) {
            for (auto at = i.begin; at != i.end; ++at) {
                auto const slot = at - c_.epoch * c_.epoch_samples();
                if (slot >= count_.size()) ++strangers_;
                else ++count_[slot];
            }
        });
    }
    std::string fault() const {
        if (strangers_ != 0) return ps::message(strangers_, " positions of another epoch");
        for (std::size_t i = 0; i != count_.size(); ++i)
            if (count_[i] != 1) return ps::message("position ", i, " came ", int{count_[i]}, " times");
        if (c_.keep == 1 && ids_ != count_.size()) return ps::message(ids_, " samples for ", count_.size(), " positions");
        return {};
    }

private:
    config const& c_;
    std::vector<std::uint8_t> count_;
    std::uint64_t ids_ = 0, strangers_ = 0;
};

bool equal(ps::batch_of<std::uint64_t> const& a, ps::batch_of<std::uint64_t> const& b) { return a.ids == b.ids && a.items == b.items && a.pass == b.pass; }

/// Plays one epoch that is stopped after some batches and goes on with other ranks, `cuts` times. What is wrong; empty if nothing is.
std::string play(config const& c, std::uint64_t number, int cuts) {
    ps::random_stream random(c.seed, 1, number);
    auto const e = ps::epoch::of(c.seed, c.epoch);
    delivery got(c);
    ps::ledger used;
    for (int life = 0; life <= cuts; ++life) {
        auto const ranks = 1 + random.below(1 + random.below(64));
        std::optional<std::uint64_t> batches;  // on every rank
        std::uint64_t stop = 0;
        ps::ledger committed = used;
        for (std::uint32_t r = 0; r != ranks; ++r) {
            auto p = c.make({r, ranks});
            if (life == 0) p.reset(e);
            else p.reset(e, used);
            auto const mine = p.world_max();
            if (c.keep == 1) {
                if (!mine) return "world_max is not known";
                if (batches && *mine != *batches) return ps::message("rank ", r, " of ", ranks, " yields ", *mine, " batches, rank 0 ", *batches);
            }
            if (r == 0) {
                batches = mine.value_or(1 + c.epoch_samples() / ranks / static_cast<std::uint64_t>(c.batch));
                stop = life == cuts ? ~std::uint64_t{0} : random.below(static_cast<std::uint32_t>(*batches + 1));
            }
            auto const look = random.below(4) == 0 ? random.below(static_cast<std::uint32_t>(*batches + 1)) : ~0u;  // here a copy is loaded and compared
            std::optional<chain> copy;
            std::uint64_t k = 0;
            for (; k != stop; ++k) {
                if (k == look) {
                    copy.emplace(c.make({r, ranks}));
                    auto const state = ps::state::parse(p.save().text());
                    if (life == 0) copy->load(state);
                    else copy->load(state, used);
                }
                auto b = p.next();
                if (copy) {
                    auto const same = copy->next();
                    if (same.has_value() != b.has_value() || (b && !equal(*same, *b))) return ps::message("rank ", r, " of ", ranks, ", life ", life, ": the tail after a load at ", look, " differs at ", k);
                }
                if (!b) break;
                if (b->size() > static_cast<std::uint64_t>(c.batch)) return "a batch is too large";
                got.add(*b);
                committed.commit(*b);
            }
            if (stop == ~std::uint64_t{0} && c.keep == 1 && k != *batches) return ps::message("rank ", r, " of ", ranks, " yielded ", k, " batches, not ", *batches);
            if (stop == ~std::uint64_t{0}) got.add([&] {
                    ps::batch_of<std::uint64_t> last;  // what a filter dropped behind the last item
                    last.cover = p.trailing();
                    return last;
                }());
        }
        used = std::move(committed);
    }
    return got.fault();
}

std::uint64_t seed() {
    auto const* const given = std::getenv("PENSTOCK_TEST_SEED");
    return given ? std::strtoull(given, nullptr, 10) : 7'771;
}

void run(std::uint64_t from, std::uint64_t to, int most_cuts) {
    WARN("PENSTOCK_TEST_SEED=" << seed() << ", " << to - from << " configurations");
    for (auto i = from; i != to; ++i) {
        auto const c = config::draw(seed(), i);
        auto const cuts = most_cuts == 0 ? 0 : 1 + static_cast<int>(i % static_cast<std::uint64_t>(most_cuts));
        std::string what;
        try {
            what = play(c, i, cuts);
        } catch (std::exception const& e) {
            what = std::string("threw ") + e.what();
        }
        if (!what.empty()) FAIL("configuration " << i << ", " << cuts << " cuts: " << c.text() << "\n " << what);
    }
    SUCCEED();
}

}  // namespace

TEST_CASE("exact epochs: sources mixed by weight keep a ledger each, in every world", "[unit][elastic]") {
    for (std::uint64_t round = 0; round != 60; ++round) {
        ps::random_stream random(seed(), 2, round);
        std::vector<config> sources{config::draw(seed(), 3 * round), config::draw(seed(), 3 * round + 1)};
        for (auto& c : sources) {
            c.epoch = sources[0].epoch;
            c.keep = 1;
        }
        auto const e = ps::epoch::of(seed(), sources[0].epoch);
        auto make = [&](ps::world w) {
            std::vector<ps::named_source<ps::any_source<ps::batch_of<std::uint64_t>>>> all;
            all.push_back(ps::named("a", 3, sources[0].make(w)));
            all.push_back(ps::named("b", 1, sources[1].make(w)));
            return ps::interleave({.stop = ps::stop_rule::all}, std::move(all)) | ps::prefetch(2);
        };
        std::vector<delivery> got(sources.begin(), sources.end());
        ps::ledger used;
        for (int life = 0; life != 3; ++life) {
            auto const ranks = 1 + random.below(9);
            auto const stop = life == 2 ? ~std::uint64_t{0} : std::uint64_t{random.below(20)};
            auto committed = used;
            std::optional<std::uint64_t> batches;
            for (std::uint32_t r = 0; r != ranks; ++r) {
                auto p = make({r, ranks});
                if (life == 0) p.reset(e);
                else p.reset(e, used);
                std::uint64_t k = 0;
                for (; k != stop; ++k) {
                    if (k == 3) {  // the same in a fresh process
                        auto q = make({r, ranks});
                        if (life == 0) q.load(p.save());
                        else q.load(p.save(), used);
                        p = std::move(q);
                    }
                    auto b = p.next();
                    if (!b) break;
                    got[b->source == "a" ? 0 : 1].add(*b);
                    committed.commit(*b);
                }
                if (batches) CHECK(k == *batches);
                batches = k;
            }
            used = std::move(committed);
        }
        CAPTURE(round, sources[0].text(), sources[1].text());
        CHECK(got[0].fault() == "");
        CHECK(got[1].fault() == "");
    }
}

TEST_CASE("exact epochs: every sample once and equal batches, whatever the shards, ranks, windows and passes", "[unit][elastic]") { run(0, 1200, 0); }

TEST_CASE("exact epochs: the same when an epoch goes on with other numbers of ranks, up to four times", "[unit][elastic]") { run(1200, 2400, 4); }
