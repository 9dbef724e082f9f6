#include <support/examiner.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <optional>
#include <stdexcept>

namespace penstock::test::detail {

std::string joined(lines const& all) {
    std::string text = "{";
    for (std::size_t i = 0; i != all.size() && i != 80; ++i) text += (i ? " " : "") + all[i];
    return text + (all.size() > 80 ? " ..." : "") + "}";
}
lines from(lines const& all, std::size_t k) { return {all.begin() + static_cast<std::ptrdiff_t>((std::min)(k, all.size())), all.end()}; }
lines sorted(lines all) {
    std::sort(all.begin(), all.end());
    return all;
}

bool is_error(std::string const& event) { return event.starts_with("error: "); }

std::size_t threads() {
    auto const tasks = std::filesystem::directory_iterator("/proc/self/task");
    return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

std::vector<int> numbers(source_spec const& s, std::uint64_t epoch_index, bool without_errors) {
    std::vector<int> in;
    for (int slot = s.first(); slot != s.last(); ++slot)
        if (!without_errors || std::find(s.errors.begin(), s.errors.end(), slot) == s.errors.end()) in.push_back(slot + 10000 * static_cast<int>(epoch_index));
    return in;
}

void report(std::string const& name, std::vector<failure> const& all) {
    if (all.empty()) return;
    std::string text = message(name, " breaks its contract, ", all.size(), " findings:");
    for (std::size_t i = 0; i != all.size() && i != 12; ++i) text += message("\n  check ", all[i].check, ": ", all[i].text);
    throw std::runtime_error(text);
}

void examiner::guarded(int check, int n, std::function<void()> const& f) {
    try {
        f();
    } catch (std::exception const& e) {
        fail(check, message("n = ", n, ": threw: ", e.what()));
    }
}
void examiner::same(int check, lines const& got, lines const& wanted, std::string const& what) {
    if (got != wanted) fail(check, message(what, ": got ", joined(got), ", expected ", joined(wanted)));
}
lines examiner::events(subject& p, std::size_t limit) {
    lines all;
    while (all.size() < limit) {
        try {
            auto item = p.next();
            if (!item) break;
            all.push_back(*std::move(item));
        } catch (std::exception const& e) {
            all.push_back(std::string("error: ") + e.what());
        }
    }
    return all;
}
subject_ptr examiner::fresh(source_spec const& spec, std::uint64_t epoch_index) const {
    auto p = build_(spec);
    p->reset(epoch::of(seed, epoch_index));
    return p;
}

void examiner::is_lazy() {
    guarded(1, 1, [&] {
        auto const before = threads();
        auto s = spec(1);
        s.panics = true;
        auto const p = build_(s);
        if (s.log->pulls != 0) fail(1, "building pulls an item");
        if (threads() != before) fail(1, "building starts a thread");
    });
}

void examiner::shared_checks() {
    for (int const n : may_.sizes) {
        guarded(2, n, [&] { follows_the_model(n); });
        guarded(3, n, [&] { is_fused(n); });
        guarded(4, n, [&] { resumes_everywhere(n, {}); });
        guarded(5, n, [&] { saves_without_trace(n); });
        guarded(6, n, [&] { hints_the_truth(n); });
        guarded(8, n, [&] { dies_early(n); });
        guarded(10, n, [&] { moves(n); });
        guarded(11, n, [&] { is_a_range(n); });
        guarded(12, n, [&] { is_deterministic(n); });
    }
    guarded(5, 2000, [&] { keeps_its_state_small(); });
    guarded(14, 7, [&] { refuses_other_states(); });
}

void examiner::error_checks() {
    for (auto const& [n, errors] : std::vector<std::pair<int, std::vector<int>>>{{1, {0}}, {2, {1}}, {7, {0}}, {7, {3}}, {7, {6}}, {7, {2, 3}}, {7, {0, 1, 2, 3, 4, 5, 6}}, {64, {20, 40}}})
        guarded(7, n, [&, n = n, errors = errors] {
            auto s = spec(n, errors);
            auto const what = message("n = ", n, ", first error at ", errors[0], ", ", errors.size(), " in all");
            auto p = build_(s);
            p->reset(epoch::of(seed, 0));
            auto const all = events(*p);
            lines items;
            std::size_t met = 0, before = 0;
            for (auto const& e : all) {
                if (!is_error(e)) items.push_back(e);
                else if (met++ == 0) before = items.size();
                if (is_error(e) && (e.find("part.tar") == e.npos || e.find("'k") == e.npos)) fail(7, message(what, ": the error does not name shard and key: ", e));
            }
            if (met != s.log->thrown) fail(7, message(what, ": ", s.log->thrown.load(), " errors were thrown, ", met, " arrived"));
            auto wanted = model_(s, epoch::of(seed, 0));
            if (may_.permutes) same(7, sorted(items), sorted(wanted), what);
            else {
                same(7, items, wanted, what);
                auto intact = s;
                intact.errors.clear();
                auto start = model_(intact, epoch::of(seed, 0));
                start.resize((std::min)(start.size(), before));
                same(7, lines(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(before)), start, what + ": the items before the first error");
            }
        });
    for (auto const& errors : std::vector<std::vector<int>>{{0}, {6}, {2, 3}, {0, 4, 6}}) guarded(4, 7, [&] { resumes_everywhere(7, errors); });
    guarded(4, 40, [&] { resumes_everywhere(40, {3, 17, 18, 39}); });
}

void examiner::equals_model(int check, builder const& build, std::string const& what, bool rewound) {
    for (int const n : rewound ? may_.sizes : std::vector<int>{7})
        guarded(check, n, [&] {
            auto p = build(spec(n));
            same(check, events(*p), model_(spec(n), epoch{}), message("n = ", n, ", ", what));
            if (!rewound && p->saves()) {  // any_pipeline refuses when it is asked
                bool refused = false;
                try {
                    (void)p->save();
                } catch (config_error const&) {
                    refused = true;
                }
                if (!refused) fail(5, "it saves a position over a source that has none");
            }
        });
}

void examiner::workers(std::function<subject_ptr(source_spec const&, int)> const& build) {
    for (int const n : may_.sizes)
        guarded(12, n, [&] {
            auto run = [&](int count) {
                auto p = build(spec(n), count);
                p->reset(epoch::of(seed, 0));
                return events(*p);
            };
            auto const one = run(1);
            for (int const count : {2, 8}) same(12, run(count), one, message("n = ", n, " with ", count, " workers"));
        });
}

void examiner::is_broken_alike(std::function<subject_ptr(int)> const& broken) {
    for (int const j : {0, 3, 6})
        guarded(7, 7, [&] {
            auto run = [&] {
                auto p = broken(j);
                p->reset(epoch::of(seed, 0));
                return events(*p);
            };
            auto const all = run();
            if (std::none_of(all.begin(), all.end(), is_error)) fail(7, message("item ", j, " is unreadable, but no error came"));
            same(7, run(), all, message("item ", j, " is unreadable: a second run"));
        });
}

void examiner::resumes_everywhere(int n, std::vector<int> const& errors) {
    if (!build_(spec(n))->saves()) {  // not spec(0): a reader refuses a data set without samples
        if (may_.resumes) fail(4, "it cannot be saved over a source that can");
        return;
    }
    for (std::uint64_t const e : {0u, 1u}) {
        auto const all = events(*fresh(spec(n, errors), e));
        auto const following = events(*fresh(spec(n, errors), e + 1));
        for (std::size_t k = 0; k <= all.size() + 1; ++k) {
            auto const what = message("n = ", n, ", epoch ", e, ", saved after ", k, " of ", all.size(), errors.empty() ? "" : ", with errors");
            auto first = fresh(spec(n, errors), e);
            events(*first, k);
            if (k > all.size()) (void)first->next();  // after the end
            auto const saved = penstock::state::parse(first->save().text());
            auto second = build_(spec(n, errors));
            second->load(saved);
            auto const half = (all.size() - (std::min)(k, all.size())) / 2;
            auto tail = events(*second, half);
            auto const again = second->save();
            auto const rest = events(*second);
            tail.insert(tail.end(), rest.begin(), rest.end());
            same(4, tail, from(all, k), what);
            if (second->resets()) {
                second->reset(epoch::of(seed, e + 1));
                same(4, events(*second), following, what + ", then the next epoch");
            }
            auto third = build_(spec(n, errors));
            third->load(again);
            same(4, events(*third), from(all, k + half), what + ", saved again " + std::to_string(half) + " later");
        }
    }
}

void examiner::follows_the_model(int n) {
    same(2, events(*build_(spec(n))), model_(spec(n), epoch{}), message("n = ", n));
    auto const all = events(*fresh(spec(n), 1));
    same(2, all, model_(spec(n), epoch::of(seed, 1)), message("n = ", n, ", epoch 1"));
    for (std::size_t k = 1; k <= all.size(); ++k) {
        auto q = fresh(spec(n), 1);
        lines got;
        if (q->for_each_while([&](std::string item) {
                got.push_back(std::move(item));
                return got.size() != k;
            }))
            fail(2, message("n = ", n, ": for_each_while says that it was not stopped after ", k));
        auto const rest = events(*q);
        got.insert(got.end(), rest.begin(), rest.end());
        same(2, got, all, message("n = ", n, ", for_each_while stopped after ", k));

        auto d = fresh(spec(n), 1);
        for (std::size_t i = 0; i != k; ++i)
            if (!d->discard()) fail(2, message("n = ", n, ": discard says that item ", i, " is the end"));
        same(2, events(*d), from(all, k), message("n = ", n, ", after discarding ", k));
    }
}
void examiner::is_fused(int n) {
    auto p = fresh(spec(n), 0);
    events(*p);
    for (int i = 0; i != 3; ++i)
        if (p->next()) fail(3, message("n = ", n, ": an item after the end"));
    if (!p->resets()) return fail(3, "it cannot be reset over a source that can");
    p->reset(epoch::of(seed, 1));
    same(3, events(*p), events(*fresh(spec(n), 1)), message("n = ", n, ": the epoch after reset"));
    p->reset(epoch::of(seed, 0));
    events(*p, 1);
    p->reset(epoch::of(seed, 1));
    same(3, events(*p), events(*fresh(spec(n), 1)), message("n = ", n, ": the epoch after a reset in the middle"));
}
void examiner::saves_without_trace(int n) {
    if (!build_(spec(n))->saves()) return;
    auto const all = events(*fresh(spec(n), 0));
    for (std::size_t k = 0; k <= all.size(); ++k) {
        auto p = fresh(spec(n), 0);
        events(*p, k);
        auto const one = p->save().text(), two = p->save().text();
        if (one != two) fail(5, message("n = ", n, ": two saves after ", k, " differ: ", one, " and ", two));
        same(5, events(*p), from(all, k), message("n = ", n, ": the items after a save at ", k));
    }
}
void examiner::keeps_its_state_small() {
    if (!build_(spec(7))->saves()) return;
    auto size = [&](int n) {
        auto p = fresh(spec(n), 0);
        events(*p, static_cast<std::size_t>(n) / 2);
        return p->save().text().size();
    };
    auto const few = size(7), many = size(2000);
    if (many > few + 256 || many > 4096) fail(5, message("the state grows with the data: ", few, " bytes for 7 items, ", many, " for 2000"));
}
void examiner::hints_the_truth(int n) {
    auto p = fresh(spec(n), 0);
    auto const total = events(*fresh(spec(n), 0)).size();
    for (std::size_t k = 0; k <= total; ++k) {
        auto const h = p->hint();
        auto const left = total - k;
        if (h.lower > left || (h.upper && *h.upper < left))
            fail(6, message("n = ", n, ": after ", k, " items ", left, " are left, the hint is ", h.lower, " to ", h.upper ? std::to_string(*h.upper) : "unknown"));
        (void)p->next();
    }
}
void examiner::dies_early(int n) {
    auto const total = events(*fresh(spec(n), 0)).size();
    auto const before = threads();
    for (std::size_t k = 0; k <= total; k += 1 + total / 8) {
        auto quickest = std::chrono::nanoseconds::max();
        for (int round = 0; round != may_.rounds; ++round) {
            auto p = fresh(spec(n), 0);
            events(*p, k);
            auto const start = std::chrono::steady_clock::now();
            p.reset();
            quickest = (std::min)(quickest, std::chrono::nanoseconds(std::chrono::steady_clock::now() - start));
        }
        if (quickest > std::chrono::milliseconds(10))  // the quickest, as the machine may be busy
            fail(8, message("n = ", n, ": destruction after ", k, " items took ", quickest.count() / 1000, " us"));
    }
    if (threads() > before) fail(8, message("n = ", n, ": ", threads() - before, " threads are left behind"));
}
void examiner::moves(int n) {
    auto const all = events(*fresh(spec(n), 0));
    for (std::size_t k = 0; k <= all.size(); ++k) {
        auto s = spec(n);
        auto p = fresh(s, 0);
        events(*p, k);
        auto q = p->moved();
        p.reset();  // what was moved away is destroyed before the rest runs
        same(10, events(*q), from(all, k), message("n = ", n, ": moved after ", k));
        for (auto const& v : s.log->violations()) fail(10, message("n = ", n, ": moved after ", k, ": ", v));
    }
}
void examiner::is_a_range(int n) {
    auto const all = events(*fresh(spec(n), 0));
    for (std::size_t k = 0; k <= all.size(); ++k) same(11, fresh(spec(n), 0)->looped(k), all, message("n = ", n, ": take(", k, "), then a loop"));
}
void examiner::is_deterministic(int n) {
    auto s = spec(n);
    auto const all = events(*fresh(s, 0));
    for (int i = 0; i != 3; ++i) same(12, events(*fresh(spec(n), 0)), all, message("n = ", n, ": built again"));
    for (auto const& v : s.log->violations()) fail(12, message("n = ", n, ": ", v));
}
void examiner::refuses_other_states() {
    if (!build_(spec(7))->saves()) return;
    auto p = fresh(spec(7), 0);
    events(*p, 2);
    auto const good = p->save();
    auto refused = [&](penstock::state const& bad, std::string const& named, std::string const& what) {
        std::string text;
        try {
            build_(spec(7))->load(bad);
        } catch (state_error const& e) {
            text = e.what();
        }
        if (text.empty()) fail(14, message("a state with ", named, " ", what, " is loaded"));
        else if (text.find(named) == text.npos) fail(14, message("a state with ", named, " ", what, " is refused without naming it: ", text));
    };
    for (std::size_t i = 0; i != good.records.size(); ++i) {
        auto const& name = good.records[i].stage;
        auto renamed = good, older = good, shorter = good, empty = good;
        renamed.records[i].stage = "another";
        older.records[i].version += 1;
        shorter.records.erase(shorter.records.begin() + static_cast<std::ptrdiff_t>(i));
        empty.records[i].numbers.clear();
        refused(renamed, name, "renamed");
        refused(older, good.path(i), "of another version");
        refused(shorter, name, "removed");
        if (!good.records[i].numbers.empty()) refused(empty, good.path(i), "emptied");
    }
    auto longer = good;
    longer.records.push_back({"another", 1, {}});
    refused(longer, "another#0", "added");
}

void examiner::world_checks(builder const& build) {
    auto const one = build(source_spec{.n = 1});
    if (!one->identified() && !may_.drops) fail(13, "keyed items lose their identity on the way");
    for (int const n : {0, 1, 7, 64})
        for (std::uint32_t const size : {1u, 2u, 3u, 4u}) {
            if (n == 0 && std::find(may_.sizes.begin(), may_.sizes.end(), 0) == may_.sizes.end()) continue;  // a source that refuses to be empty
            guarded(13, n, [&] { one_world(build, n, size); });
        }
}
void examiner::any_says_the_same(builder const& plain, builder const& erased_twice) {
    for (std::uint32_t const rank : {0u, 1u})
        for (int const n : {1, 7, 64})
            guarded(15, n, [&] {
                auto const where = message("n = ", n, ", rank ", rank, " of 2, behind any(): ");
                auto const s = source_spec{.n = n, .world = {rank, 2}};
                auto p = plain(s), q = erased_twice(s);
                auto compare = [&](char const* when) {
                    if (p->facts() != q->facts()) fail(15, where + "other facts " + when);
                };
                compare("before the first epoch");
                for (std::uint64_t e = 0; e != 2; ++e) {
                    p->reset(epoch::of(seed, e));
                    q->reset(epoch::of(seed, e));
                    compare("after reset");
                    while (true) {
                        auto const one = p->next_cover(), other = q->next_cover();
                        if (one != other) fail(15, where + "an item stands for other positions");
                        if (!one || !other) break;
                    }
                    compare("at the end");
                    if (p->trailing() != q->trailing()) fail(15, where + "other positions are left at the end");
                }
            });
}
void examiner::one_world(builder const& build, int n, std::uint32_t size) {
    std::vector<int> delivered(static_cast<std::size_t>(n), 0);
    std::vector<std::uint64_t> counts;
    std::optional<std::uint64_t> most;
    bool identified = false, batches = false;
    for (std::uint32_t r = 0; r != size; ++r) {
        auto const where = message("n = ", n, ", rank ", r, " of ", size);
        auto const s = source_spec{.n = n, .world = {r, size}};
        auto p = build(s);
        identified = p->identified();
        batches = p->batches();
        p->reset(epoch::of(seed, 1));
        auto const said = p->facts();
        auto const mine = said.world_max;
        if (r != 0 && mine != most) fail(6, where + ": world_max is not that of rank 0");
        most = mine;
        auto note = [&](penstock::cover const& positions) {
            positions.each([&](interval i) {
                for (auto at = i.begin; at != i.end; ++at) {
                    auto const slot = at - static_cast<std::uint64_t>(n);  // pass 1
                    if (slot >= delivered.size()) fail(13, where + ": position " + std::to_string(at) + " does not exist");
                    else ++delivered[static_cast<std::size_t>(slot)];
                }
            });
        };
        std::uint64_t count = 0;
        while (auto next = p->next_cover()) {
            ++count;
            note(*next);
            if (p->facts() != said) fail(6, where + ": its facts change while items are pulled");
            if (!p->saves()) continue;
            auto q = build(s);
            q->load(p->save());
            if (q->facts() != said) fail(6, where + ": its facts are not restored by load");
        }
        note(p->trailing());
        if (said.world_min && count < *said.world_min) fail(6, message(where, ": ", count, " items, but world_min is ", *said.world_min));
        if (mine && count > *mine) fail(6, message(where, ": ", count, " items, but world_max is ", *mine));
        counts.push_back(count);
    }
    if (batches && most)
        for (auto const k : counts)
            if (k != counts[0]) fail(13, message("n = ", n, ", ", size, " ranks: ", counts[0], " batches on rank 0, ", k, " on another"));
    if (identified)
        for (std::size_t i = 0; i != delivered.size(); ++i)
            if (delivered[i] > 1 || (delivered[i] == 0 && !may_.drops)) fail(13, message("n = ", n, ", ", size, " ranks: position ", i, " of the pass was delivered ", delivered[i], " times"));
}

}  // namespace penstock::test::detail
