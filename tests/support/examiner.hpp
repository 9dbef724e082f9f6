// Implements: examiner, the checks of the battery that stages and sources share; battery.hpp says how they register.
#pragma once

#include <penstock/core/batch_type.hpp>  // defines: batch_of, is_batch
#include <support/sources.hpp>           // defines: debug_source, probe, move_only, error_of

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock::test {

inline int number(int i) { return i; }
inline int number(move_only const& m) { return m.number(); }

/// Text of an item: of keyed<T> the value, of a batch "[a b c]".
struct shown {
    template <class Item>
    std::string operator()(Item const& item) const {
        if constexpr (is_keyed<Item>) return (*this)(item.value);
        else if constexpr (is_batch<Item>) return (*this)(item.items);
        else if constexpr (std::is_same_v<Item, move_only>) return std::to_string(item.number());
        else if constexpr (std::is_arithmetic_v<Item>) return std::to_string(item);
        else if constexpr (std::is_convertible_v<Item const&, std::string>) return item;
        else {
            std::string text = "[";
            for (auto const& i : item) text += (text.size() > 1 ? " " : "") + (*this)(i);
            return text + "]";
        }
    }
};

struct failure {
    int check;
    std::string text;
};

namespace detail {

using lines = std::vector<std::string>;
constexpr std::uint64_t seed = 5;

inline std::string joined(lines const& all) {
    std::string text = "{";
    for (std::size_t i = 0; i != all.size() && i != 80; ++i) text += (i ? " " : "") + all[i];
    return text + (all.size() > 80 ? " ..." : "") + "}";
}
inline lines from(lines const& all, std::size_t k) { return {all.begin() + static_cast<std::ptrdiff_t>((std::min)(k, all.size())), all.end()}; }
inline lines sorted(lines all) {
    std::sort(all.begin(), all.end());
    return all;
}
inline bool is_error(std::string const& event) { return event.starts_with("error: "); }

inline std::size_t threads() {
    auto const tasks = std::filesystem::directory_iterator("/proc/self/task");
    return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

/// Runs the checks that stages and sources share. `build(source_spec)` makes a fresh chain, `model(source_spec, epoch)` its items as text.
template <class Case, class Build, class Model>
class examiner {
public:
    examiner(Case const& c, std::vector<failure>& out, Build build, Model model) : case_(c), out_(out), build_(std::move(build)), model_(std::move(model)) {}

    void shared_checks() {
        for (int const n : case_.sizes) {
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

    template <class F>
    void guarded(int check, int n, F f) {
        try {
            f();
        } catch (std::exception const& e) {
            fail(check, message("n = ", n, ": threw: ", e.what()));
        }
    }
    void fail(int check, std::string text) { out_.push_back({check, std::move(text)}); }
    void same(int check, lines const& got, lines const& wanted, std::string what) {
        if (got != wanted) fail(check, message(what, ": got ", joined(got), ", expected ", joined(wanted)));
    }

    template <class P>
    lines events(P& p, std::size_t limit = 10000) const {
        lines all;
        while (all.size() < limit) {
            try {
                auto item = p.next();
                if (!item) break;
                all.push_back(case_.show(*item));
            } catch (std::exception const& e) {
                all.push_back(std::string("error: ") + e.what());
            }
        }
        return all;
    }
    auto fresh(source_spec spec, std::uint64_t epoch_index) const {
        auto p = build_(std::move(spec));
        if constexpr (requires { p.reset(seed, epoch_index); }) p.reset(seed, epoch_index);
        return p;
    }
    static source_spec spec(int n, std::vector<int> errors = {}) { return {.n = n, .errors = std::move(errors)}; }

    void resumes_everywhere(int n, std::vector<int> const& errors) {
        using chain = decltype(build_(spec(0)));
        if constexpr (!requires(chain p) { p.save(); }) {
            if (case_.resumes) fail(4, "it cannot be saved over a source that can");
        } else {
            for (std::uint64_t const e : {0u, 1u}) {
                auto p = fresh(spec(n, errors), e);
                auto const all = events(p);
                auto next = fresh(spec(n, errors), e + 1);
                auto const following = events(next);
                for (std::size_t k = 0; k <= all.size() + 1; ++k) {
                    auto const what = message("n = ", n, ", epoch ", e, ", saved after ", k, " of ", all.size(), errors.empty() ? "" : ", with errors");
                    auto first = fresh(spec(n, errors), e);
                    events(first, k);
                    if (k > all.size()) (void)first.next();  // after the end
                    auto const saved = penstock::state::parse(first.save().text());
                    auto second = build_(spec(n, errors));
                    second.load(saved);
                    auto const half = (all.size() - (std::min)(k, all.size())) / 2;
                    auto tail = events(second, half);
                    auto const again = second.save();
                    auto const rest = events(second);
                    tail.insert(tail.end(), rest.begin(), rest.end());
                    same(4, tail, from(all, k), what);
                    if constexpr (requires { second.reset(seed, e + 1); }) {
                        second.reset(seed, e + 1);
                        same(4, events(second), following, what + ", then the next epoch");
                    }
                    auto third = build_(spec(n, errors));
                    third.load(again);
                    same(4, events(third), from(all, k + half), what + ", saved again " + std::to_string(half) + " later");
                }
            }
        }
    }

private:
    void follows_the_model(int n) {
        auto p = build_(spec(n));
        same(2, events(p), model_(spec(n), epoch{}), message("n = ", n));
        auto const all = [&] { auto q = fresh(spec(n), 1); return events(q); }();
        same(2, all, model_(spec(n), epoch::of(seed, 1)), message("n = ", n, ", epoch 1"));
        for (std::size_t k = 1; k <= all.size(); ++k) {
            auto q = fresh(spec(n), 1);
            lines got;
            auto f = [&](auto&& item) {
                got.push_back(case_.show(item));
                return got.size() != k;
            };
            if (q.for_each_while(f)) fail(2, message("n = ", n, ": for_each_while says that it was not stopped after ", k));
            auto const rest = events(q);
            got.insert(got.end(), rest.begin(), rest.end());
            same(2, got, all, message("n = ", n, ", for_each_while stopped after ", k));

            auto d = fresh(spec(n), 1);
            for (std::size_t i = 0; i != k; ++i)
                if (!penstock::discard(d.inner())) fail(2, message("n = ", n, ": discard says that item ", i, " is the end"));
            same(2, events(d), from(all, k), message("n = ", n, ", after discarding ", k));
        }
    }
    void is_fused(int n) {
        auto p = fresh(spec(n), 0);
        events(p);
        for (int i = 0; i != 3; ++i)
            if (p.next()) fail(3, message("n = ", n, ": an item after the end"));
        if constexpr (requires { p.reset(seed, 1); }) {
            p.reset(seed, 1);
            auto q = fresh(spec(n), 1);
            same(3, events(p), events(q), message("n = ", n, ": the epoch after reset"));
            p.reset(seed, 0);
            events(p, 1);
            p.reset(seed, 1);
            auto r = fresh(spec(n), 1);
            same(3, events(p), events(r), message("n = ", n, ": the epoch after a reset in the middle"));
        } else fail(3, "it cannot be reset over a source that can");
    }
    void saves_without_trace(int n) {
        if constexpr (requires { build_(spec(n)).save(); }) {
            auto const all = [&] { auto p = fresh(spec(n), 0); return events(p); }();
            for (std::size_t k = 0; k <= all.size(); ++k) {
                auto p = fresh(spec(n), 0);
                events(p, k);
                auto const one = p.save().text(), two = p.save().text();
                if (one != two) fail(5, message("n = ", n, ": two saves after ", k, " differ: ", one, " and ", two));
                same(5, events(p), from(all, k), message("n = ", n, ": the items after a save at ", k));
            }
        }
    }
    void keeps_its_state_small() {
        if constexpr (requires { build_(spec(0)).save(); }) {
            auto size = [&](int n) {
                auto p = fresh(spec(n), 0);
                events(p, static_cast<std::size_t>(n) / 2);
                return p.save().text().size();
            };
            auto const few = size(7), many = size(2000);
            if (many > few + 256 || many > 4096) fail(5, message("the state grows with the data: ", few, " bytes for 7 items, ", many, " for 2000"));
        }
    }
    void hints_the_truth(int n) {
        auto p = fresh(spec(n), 0);
        if constexpr (requires { p.hint(); }) {
            auto const total = [&] { auto q = fresh(spec(n), 0); return events(q).size(); }();
            for (std::size_t k = 0; k <= total; ++k) {
                auto const h = p.hint();
                auto const left = total - k;
                if (h.lower > left || (h.upper && *h.upper < left))
                    fail(6, message("n = ", n, ": after ", k, " items ", left, " are left, the hint is ", h.lower, " to ", h.upper ? std::to_string(*h.upper) : "unknown"));
                (void)p.next();
            }
        }
    }
    void dies_early(int n) {
        auto const total = [&] { auto p = fresh(spec(n), 0); return events(p).size(); }();
        auto const before = threads();
        for (std::size_t k = 0; k <= total; k += 1 + total / 8) {
            auto quickest = std::chrono::nanoseconds::max();
            for (int round = 0; round != case_.rounds; ++round) {
                auto p = std::make_optional(fresh(spec(n), 0));
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
    void moves(int n) {
        auto const all = [&] { auto p = fresh(spec(n), 0); return events(p); }();
        for (std::size_t k = 0; k <= all.size(); ++k) {
            auto s = spec(n);
            auto log = s.log;
            auto p = std::make_optional(fresh(std::move(s), 0));
            events(*p, k);
            auto q = std::move(*p);
            p.reset();  // what was moved away is destroyed before the rest runs
            same(10, events(q), from(all, k), message("n = ", n, ": moved after ", k));
            for (auto const& v : log->violations()) fail(10, message("n = ", n, ": moved after ", k, ": ", v));
        }
    }
    void is_a_range(int n) {
        auto const all = [&] { auto p = fresh(spec(n), 0); return events(p); }();
        for (std::size_t k = 0; k <= all.size(); ++k) {
            auto p = fresh(spec(n), 0);
            lines got;
            for (auto& item : p | std::views::take(static_cast<std::ptrdiff_t>(k))) got.push_back(case_.show(item));
            for (auto& item : p) got.push_back(case_.show(item));
            same(11, got, all, message("n = ", n, ": take(", k, "), then a loop"));
        }
    }
    void is_deterministic(int n) {
        auto s = spec(n);
        auto log = s.log;
        auto p = fresh(std::move(s), 0);
        auto const all = events(p);
        for (int i = 0; i != 3; ++i) {
            auto q = fresh(spec(n), 0);
            same(12, events(q), all, message("n = ", n, ": built again"));
        }
        for (auto const& v : log->violations()) fail(12, message("n = ", n, ": ", v));
    }
    void refuses_other_states() {
        if constexpr (requires { build_(spec(0)).save(); }) {
            auto p = fresh(spec(7), 0);
            events(p, 2);
            auto const good = p.save();
            auto refused = [&](penstock::state const& bad, std::string const& named, std::string const& what) {
                auto q = build_(spec(7));
                auto const text = error_of<state_error>([&] { q.load(bad); return 0; });
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
    }

    Case const& case_;
    std::vector<failure>& out_;
    Build build_;
    Model model_;
};

/// Check 13 over the ranks of several worlds, and the part of 6 that concerns world_max. `build` makes planned, keyed chains.
template <class Examiner, class Case, class Build>
void world_checks(Examiner& x, Case const& c, Build build) {
    using chain = decltype(build(source_spec{}));
    using item = typename chain::item_type;
    constexpr bool batches = is_batch<item>;
    constexpr bool identified = is_keyed<item> || batches;
    if (!identified && !c.drops) x.fail(13, "keyed items lose their identity on the way");
    for (int const n : {0, 1, 7, 64})
        for (std::uint32_t const size : {1u, 2u, 3u, 4u}) {
            if (n == 0 && std::find(c.sizes.begin(), c.sizes.end(), 0) == c.sizes.end()) continue;  // a source that refuses to be empty
            x.guarded(13, n, [&] {
                std::vector<int> delivered(static_cast<std::size_t>(n), 0);
                std::vector<std::uint64_t> counts;
                std::optional<std::uint64_t> most;
                for (std::uint32_t r = 0; r != size; ++r) {
                    auto const where = message("n = ", n, ", rank ", r, " of ", size);
                    auto p = build(source_spec{.n = n, .world = {r, size}});
                    p.reset(seed, 1);
                    std::optional<std::uint64_t> mine;
                    if constexpr (requires { p.world_max(); }) {
                        mine = p.world_max();
                        if (r != 0 && mine != most) x.fail(6, where + ": world_max is not that of rank 0");
                        most = mine;
                    }
                    std::uint64_t count = 0;
                    auto note = [&](penstock::cover const& positions) {
                        positions.each([&](interval i) {
                            for (auto at = i.begin; at != i.end; ++at) {
                                auto const slot = at - static_cast<std::uint64_t>(n);  // pass 1
                                if (slot >= delivered.size()) x.fail(13, where + ": position " + std::to_string(at) + " does not exist");
                                else ++delivered[static_cast<std::size_t>(slot)];
                            }
                        });
                    };
                    while (auto next = p.next()) {
                        ++count;
                        if constexpr (identified) note(next->cover);
                        if constexpr (requires { p.world_max(); }) {
                            if (p.world_max() != mine) x.fail(6, where + ": world_max changes while items are pulled");
                            if constexpr (requires { p.save(); }) {
                                auto q = build(source_spec{.n = n, .world = {r, size}});
                                q.load(p.save());
                                if (q.world_max() != mine) x.fail(6, where + ": world_max is not restored by load");
                            }
                        }
                    }
                    if constexpr (dropping<chain>) note(p.trailing());
                    if (mine && count > *mine) x.fail(6, message(where, ": ", count, " items, but world_max is ", *mine));
                    counts.push_back(count);
                }
                if (batches && most)
                    for (auto const k : counts)
                        if (k != counts[0]) x.fail(13, message("n = ", n, ", ", size, " ranks: ", counts[0], " batches on rank 0, ", k, " on another"));
                if constexpr (identified)
                    for (std::size_t i = 0; i != delivered.size(); ++i)
                        if (delivered[i] > 1 || (delivered[i] == 0 && !c.drops))
                            x.fail(13, message("n = ", n, ", ", size, " ranks: position ", i, " of the pass was delivered ", delivered[i], " times"));
            });
        }
}

}  // namespace detail

}  // namespace penstock::test
