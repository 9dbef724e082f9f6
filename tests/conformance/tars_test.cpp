// Exact epochs over real tars, through the whole chain: counted from what was delivered, stopped and resumed in the same world and in others, with damage.
#include <conformance/tar_job.hpp>
#include <penstock/core/ledger.hpp>

#include <support/temp_dir.hpp>
#include <support/sanitizer.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

using chain = ps::any_pipeline<test::traces>;

struct config {
    std::vector<std::uint64_t> sizes{};
    test::tar_job job{};
    bool index = true;
    std::uint64_t epochs = 1, seed = 0;
    std::vector<std::uint64_t> bad_payloads{}, bad_headers{};  ///< ids

    std::uint64_t samples() const {
        std::uint64_t n = 0;
        for (auto const s : sizes) n += s;
        return n;
    }
    std::uint64_t epoch_samples() const { return job.samples_per_epoch ? job.samples_per_epoch : samples() * job.repeat; }

    static config draw(std::uint64_t seed, std::uint64_t number, bool damaged) {
        ps::random_stream random(seed, 0, number);
        auto const below = [&](std::uint64_t n) { return std::uint64_t{random.below(static_cast<std::uint32_t>(n))}; };
        config c;
        c.seed = seed + number;
        c.sizes.resize(1 + below(1 + below(12)));
        auto const longest = 1 + below(number % 3 == 0 ? 200 : 1 + below(200));
        for (auto& n : c.sizes) n = below(4) == 0 ? 0 : below(longest + 1);
        c.sizes[below(c.sizes.size())] = longest;
        c.epochs = 1 + below(3);
        if (below(3) == 0) c.job.samples_per_epoch = 1 + below(2 * c.samples());
        else if (below(4) == 0) c.job.repeat = 2 + below(2);
        c.index = damaged || below(2) == 0;
        c.job.remember = below(2) == 0;
        if (!damaged && below(4) == 0) c.job.counts = c.sizes;
        c.job.batch = static_cast<std::int64_t>(1 + below(1 + below(40)));
        c.job.window = below(4) == 0 ? 0 : static_cast<std::int64_t>(1 + below(1 + below(120)));
        c.job.threads = static_cast<std::int64_t>(below(4));
        c.job.ahead = static_cast<std::int64_t>(below(4));
        c.job.shuffled = below(4) != 0;
        if (damaged) {
            c.job.verify = below(2) == 0;
            for (auto k = below(4); k != 0; --k) c.bad_payloads.push_back(below(c.samples()));
            for (auto k = below(3); k != 0; --k) c.bad_headers.push_back(below(c.samples()));
            for (auto* const ids : {&c.bad_payloads, &c.bad_headers}) {  // a byte that is flipped twice is whole
                std::ranges::sort(*ids);
                ids->erase(std::unique(ids->begin(), ids->end()), ids->end());
            }
        }
        return c;
    }
    std::string text() const {
        std::string damage, list;
        for (auto const n : sizes) list += ps::message(' ', n);
        for (auto const id : bad_payloads) damage += ps::message(" payload of ", id);
        for (auto const id : bad_headers) damage += ps::message(" header of ", id);
        return ps::message("shards of", list, job.text(), index ? "" : ", not indexed", ", ", epochs, " epochs", damage);
    }
};

/// Samples that were left out, as the errors tell it. Told from several threads.
class losses {
public:
    void add(ps::stage_error const& e) {
        auto const* const many = dynamic_cast<ps::lost_samples const*>(&e);
        auto const n = e.lost;
        std::lock_guard const lock(guard_);
        ++errors_;
        count_ += n;
        if (!e.where.sample) return void(++nameless_);
        std::string const text = e.what();
        if (text.find(".tar") == text.npos || (e.where.key.empty() && !many)) ++nameless_;
        for (auto id = *e.where.sample; id != *e.where.sample + n; ++id) named_.insert(id);
    }
    std::set<std::uint64_t> const& named() const { return named_; }
    std::uint64_t count() const { return count_; }
    std::uint64_t errors() const { return errors_; }
    std::uint64_t nameless() const { return nameless_; }

private:
    std::mutex guard_;
    std::set<std::uint64_t> named_;
    std::uint64_t count_ = 0, errors_ = 0, nameless_ = 0;
};

bool equal(test::traces const& a, test::traces const& b) {
    auto const positions = [](ps::cover const& c) {
        std::vector<ps::interval> all;
        c.each([&](ps::interval i) { all.push_back(i); });
        return all;
    };
    return a.items == b.items && a.ids == b.ids && a.pass == b.pass && a.weights == b.weights && positions(a.cover) == positions(b.cover);
}

/// The epochs of a configuration, each played by a row of worlds: all but the last of them stop after some batches.
class play {
public:
    play(config const& c, std::uint64_t number) : c_(c), number_(number), random_(c.seed, 1, number), disk_(dir_.path(), c.sizes) {
        job_ = c.job;
        job_.shards = disk_.paths();
        if (damaged()) {
            for (auto const id : c.bad_payloads) disk_.rot(id, false);
            for (auto const id : c.bad_headers) disk_.rot(id, true);
            job_.skipped = [this](ps::stage_error const& e) { lost_.add(e); };
        }
        if (!c.index) disk_.forget_index();
    }
    /// What is wrong; empty if nothing is.
    std::string fault() {
        for (std::uint64_t e = 0; e != c_.epochs; ++e) {
            ps::ledger used;
            auto const row = worlds();
            again_ = again_ || row.size() > 1;
            for (std::size_t life = 0; life != row.size(); ++life)
                if (auto what = live(e, row[life], life + 1 == row.size(), life != 0, used); !what.empty()) return ps::message("epoch ", e, ", world ", life, " of ", row.size(), ": ", what);
            auto const n = c_.epoch_samples();
            if (auto const missing = used.used().missing({e * n, (e + 1) * n}); !missing.empty() || used.used().count() != n)
                return ps::message("epoch ", e, ": ", used.used().count(), " of ", n, " positions are accounted for");
        }
        return verdict();
    }
    std::uint64_t delivered() const { return delivered_; }
    std::uint64_t lost() const { return lost_.count(); }

private:
    bool damaged() const { return !c_.bad_payloads.empty() || !c_.bad_headers.empty(); }
    std::vector<std::uint32_t> worlds() {
        if (number_ % 4 == 0) return {3, 2, 5, 1};
        std::vector<std::uint32_t> row(1 + random_.below(4));
        for (auto& w : row) w = 1 + random_.below(1 + random_.below(9));
        return row;
    }

    /// All ranks of one world, up to a random batch or to the end of the epoch; `used` gets what they used.
    std::string live(std::uint64_t e, std::uint32_t ranks, bool to_end, bool divided, ps::ledger& used) {
        auto const epoch = ps::epoch::of(c_.seed, e);
        auto committed = used;
        auto const begin = [&](chain& p) { divided ? p.reset(epoch, used) : p.reset(epoch); };
        std::uint64_t batches = 0, stop = 0;
        for (std::uint32_t r = 0; r != ranks; ++r) {
            auto p = job_.make({r, ranks});
            begin(p);
            if (!p.world_max()) return "world_max is not known";
            if (r == 0) {
                batches = *p.world_max();
                stop = to_end ? batches : random_.below(static_cast<std::uint32_t>(batches + 1));
            } else if (*p.world_max() != batches) return ps::message("rank ", r, " of ", ranks, " promises ", *p.world_max(), " batches, rank 0 ", batches);
            auto const look = random_.below(3) == 0 ? random_.below(static_cast<std::uint32_t>(stop + 1)) : ~0u;  // here a fresh chain takes over and is compared
            std::optional<chain> fresh;
            std::uint64_t k = 0;
            for (;; ++k) {
                if (k == look) {
                    again_ = true;
                    auto const state = ps::state::parse(p.save().text());
                    fresh.emplace(job_.make({r, ranks}));
                    divided ? fresh->load(state, used) : fresh->load(state);
                }
                if (!to_end && k == stop) break;
                auto b = p.next();
                if (fresh) {
                    auto const same = fresh->next();
                    if (same.has_value() != b.has_value() || (b && !equal(*b, *same))) return ps::message("rank ", r, " of ", ranks, ": the tail after a load at ", look, " differs at batch ", k);
                }
                if (!b) break;
                if (b->size() > static_cast<std::uint64_t>(c_.job.batch)) return "a batch is too large";
                for (auto const& t : b->items) ++count_[t];
                delivered_ += b->size();
                committed.commit(*b);
            }
            if (to_end && k != batches) return ps::message("rank ", r, " of ", ranks, " yielded ", k, " batches, not ", batches);
        }
        used = std::move(committed);
        return {};
    }

    /// From what was delivered alone: which passes must be whole follows from how many samples were asked for.
    std::string verdict() const {
        auto const n = c_.samples(), all = c_.epochs * c_.epoch_samples();
        auto const may_be_lost = [&](std::uint64_t id) {
            if (std::ranges::binary_search(c_.bad_payloads, id)) return true;
            auto const first = disk_.first_beside(id);  // a header that cannot be read ends the shard, and nobody knows whether it was one more file of the sample before
            return std::ranges::any_of(c_.bad_headers, [&](auto bad) { return first <= bad && bad <= id + 1 && disk_.first_beside(bad) == first; });
        };
        for (auto const& [t, times] : count_) {
            if (times != 1) return ps::message("sample ", t.id, " came ", times, " times in pass ", t.pass);
            if (t.pass * n >= all || t.id >= n) return ps::message("sample ", t.id, " of pass ", t.pass, " was not asked for");
            if (std::ranges::binary_search(c_.bad_payloads, t.id)) return ps::message("sample ", t.id, " is damaged, and came");
        }
        for (std::uint64_t pass = 0; pass != all / n; ++pass)
            for (std::uint64_t id = 0; id != n; ++id) {
                if (count_.contains({pass, id})) continue;
                if (!may_be_lost(id)) return ps::message("sample ", id, " never came in pass ", pass);
                if (!lost_.named().contains(id)) return ps::message("sample ", id, " was lost in pass ", pass, ", and no error named it");
            }
        if (!damaged() && delivered_ != all) return ps::message(delivered_, " samples came, not ", all);
        if (lost_.nameless() != 0) return ps::message(lost_.nameless(), " errors name no sample and shard");
        for (auto const id : lost_.named())
            if (!may_be_lost(id)) return ps::message("sample ", id, " is whole, and an error names it");
        if (!again_ && delivered_ + lost_.count() != all) return ps::message(delivered_, " samples came and ", lost_.count(), " were lost, not ", all);  // told once where nothing was read twice
        return {};
    }

    config const& c_;
    std::uint64_t number_;
    ps::random_stream random_;
    test::temp_dir dir_;
    test::tar_disk disk_;
    test::tar_job job_;
    losses lost_;
    std::map<test::trace, int> count_;
    std::uint64_t delivered_ = 0;
    bool again_ = false;  // something was read more than once
};

void run(std::uint64_t from, std::uint64_t to, bool damaged) {
    auto const seed = test::seed_of_test(90'210);
    std::uint64_t delivered = 0, lost = 0;
    for (auto i = from; i != to; ++i) {
        auto const c = config::draw(seed, i, damaged);
        std::string what;
        try {
            play p(c, i);
            what = p.fault();
            delivered += p.delivered();
            lost += p.lost();
        } catch (std::exception const& e) {
            what = std::string("threw ") + e.what();
        }
        if (!what.empty()) FAIL("PENSTOCK_TEST_SEED=" << seed << ", configuration " << i << ": " << c.text() << "\n " << what);
    }
    CHECK((lost != 0) == damaged);
    WARN("PENSTOCK_TEST_SEED=" << seed << ", " << to - from << " configurations, " << delivered << " samples delivered, " << lost << " losses told");
}

}  // namespace

// The thread sanitizer runs the second half, all others the first.
TEST_CASE("real tars: every sample once and equal batches, whatever the shards, ranks, passes and restarts", "[unit][tars]") {
    test::under_thread_sanitizer ? run(60, 120, false) : run(0, 60, false);
}

TEST_CASE("real tars: what is damaged is skipped, counted and named, and batches stay equal", "[unit][tars]") {
    test::under_thread_sanitizer ? run(1030, 1060, true) : run(1000, 1030, true);
}
