// Implements: what tests of fan-ins share: beside(p, n), a second source for a pipeline p; and resume over the edges of several epochs.
#pragma once

#include <support/examiner.hpp>  // defines: shown, number
#include <support/sources.hpp>   // defines: planned_source, source_spec, move_only

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock::test {

/// The numbers 5000, 5001, ... as Item; keyed ones stand for no position, so that those of the source under test can be counted.
template <class Item>
struct as_item {
    Item operator()(int i) const {
        if constexpr (is_keyed<Item>) {
            Item item{0, 0, {}, "beside", 1, as_item<decltype(Item::value)>{}(i)};
            return item;
        } else return Item(i + 5000);
    }
};

/// 0 .. n - 1, whose state says nothing of n: whoever relies on its length must look itself.
struct pliant_source {
    using item_type = std::int64_t;
    explicit pliant_source(std::int64_t n) : n_(n) {}
    std::optional<std::int64_t> next() { return i_ == n_ ? std::nullopt : std::optional(i_++); }
    void reset(epoch) { i_ = 0; }
    chain_facts facts() const { return whole_of(static_cast<std::uint64_t>(n_)); }
    void save(state_writer& w) const { w.stage("pliant", 1).put("at", static_cast<std::uint64_t>(i_)); }
    void load(state_reader& r) { i_ = static_cast<std::int64_t>(r.stage("pliant", 1).get("at")); }

private:
    std::int64_t n_, i_ = 0;
};

/// n items of p's type, planned: every rank has all of them.
template <class P>
auto beside(P const&, int n) {
    return pipeline(planned_source<as_item<typename P::item_type>>({.n = n}));
}
inline std::vector<int> beside_model(int n, std::uint64_t epoch_index) {
    std::vector<int> out;
    for (int i = 0; i != n; ++i) out.push_back(i + 5000 + 10000 * static_cast<int>(epoch_index));
    return out;
}

/// The items, errors and ends of some epochs in a row.
template <class P, class Show>
std::vector<std::string> events_of(P& p, std::size_t limit, Show show) {
    std::vector<std::string> all;
    while (all.size() != limit) {
        try {
            auto item = p.next();
            all.push_back(item ? show(*item) : "end");
            if (!item) break;
        } catch (stage_error const& e) {
            all.push_back(std::string("error ") + e.where.key);
        }
    }
    return all;
}

/// What differs if a chain is saved and loaded after any event of any of the epochs, and goes on to the last; empty if nothing does.
template <class Make, class Show = shown>
std::string resume_differs(Make make, std::uint64_t epochs, std::size_t limit = 1000, Show show = {}) {
    auto rest = [&](auto& p, std::uint64_t from) {
        std::vector<std::string> all;
        for (auto e = from; e != epochs; ++e) {
            p.reset(3, e);
            for (auto& event : events_of(p, limit, show)) all.push_back(std::move(event));
        }
        return all;
    };
    for (std::uint64_t e = 0; e != epochs; ++e)
        for (std::size_t k = 0; k <= limit; ++k) {
            auto first = make();
            for (std::uint64_t before = 0; before != e; ++before) {
                first.reset(3, before);
                events_of(first, limit, show);
            }
            first.reset(3, e);
            auto const head = events_of(first, k, show);
            bool const ended = !head.empty() && head.back() == "end";
            auto second = make();
            second.load(state::parse(first.save().text()));
            auto wanted = events_of(first, limit - k, show), got = events_of(second, limit - k, show);
            for (auto& event : rest(first, e + 1)) wanted.push_back(std::move(event));
            for (auto& event : rest(second, e + 1)) got.push_back(std::move(event));
            if (got != wanted) return message("epoch ", e, ", after ", k, ": got ", detail::joined(got), ", expected ", detail::joined(wanted));
            if (ended) break;
        }
    return {};
}

}  // namespace penstock::test
