// Implements: ledger, which positions of each source were used up, so that another number of ranks can go on with the rest.
#pragma once

#include <penstock/core/epoch.hpp>         // defines: epoch
#include <penstock/core/interval_set.hpp>  // defines: interval_set, interval, cover

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// What was delivered and used, per source: commit() each batch (or keyed item) once its step is done, also if the step was skipped.
/// The ledgers of all ranks, merged, go into `pipeline::reset(epoch, ledger)` of any other world: there every position that is missing is delivered
/// once. A chain with one source uses the ledger itself; a fan-in gives each named input a branch.
///
///     ledger done;
///     while (auto b = p.next()) { step(*b); done.commit(*b); }
class ledger {
public:
    /// The positions of an item that carries a cover; `source` ("photos", or "photos/a" for nested ones) chooses the branch.
    template <class Item>
    void commit(Item const& item) {
        if constexpr (requires { std::string_view(item.source); }) at(item.source).used_.add(item.cover);
        else used_.add(item.cover);
    }
    /// What the other one holds as well.
    void merge(ledger const& other) {
        used_.add(other.used_);
        for (auto const& [name, b] : other.branches_) at(name).merge(b);
    }

    interval_set const& used() const { return used_; }
    bool empty() const {
        for (auto const& [name, b] : branches_)
            if (!b.empty()) return false;
        return used_.empty();
    }
    void clear() {
        used_.clear();
        branches_.clear();
    }

    /// The ledger of a fan-in's input; an empty one if nothing of it was used.
    ledger const& branch(std::string_view name) const {
        static ledger const nothing;
        for (auto const& [n, b] : branches_)
            if (n == name) return b;
        return nothing;
    }

    /// Calls f(source, positions) for every source with positions.
    template <class F>
    void each(F&& f, std::string const& path = {}) const {
        if (!used_.empty()) f(path, used_);
        for (auto const& [name, b] : branches_) b.each(f, path.empty() ? name : path + '/' + name);
    }
    /// Sets what each() told.
    void put(std::string_view source, interval_set positions) { at(source).used_ = std::move(positions); }

    friend bool operator==(ledger const& a, ledger const& b) {
        auto const holds = [](ledger const& x, ledger const& y) {
            if (x.used_ != y.used_) return false;
            for (auto const& [name, branch] : x.branches_)
                if (!(branch.empty() && y.branch(name).empty()) && !(branch == y.branch(name))) return false;
            return true;
        };
        return holds(a, b) && holds(b, a);
    }

private:
    ledger& at(std::string_view source) {
        if (source.empty()) return *this;
        auto const cut = source.find('/');
        auto const first = source.substr(0, cut), rest = cut == source.npos ? std::string_view{} : source.substr(cut + 1);
        for (auto& [n, b] : branches_)
            if (n == first) return b.at(rest);
        return branches_.emplace_back(std::string(first), ledger{}).second.at(rest);
    }

    interval_set used_;
    std::vector<std::pair<std::string, ledger>> branches_;
};

inline epoch epoch::branch(std::string_view name) const {
    return {seed, index, child_key(child_key(key, "branch"), name), child_key(child_key(line, "branch"), name), used ? &used->branch(name) : nullptr, claims};
}

/// For reset(e) of a source that knows positions: those of `window` that are still to be delivered.
inline std::vector<interval> still_to_deliver(epoch const& e, interval window) {
    if (!e.used) return {window};
    if (e.claims) ++*e.claims;
    return e.used->used().missing(window);
}

}  // namespace penstock
