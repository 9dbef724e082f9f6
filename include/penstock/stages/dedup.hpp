// Implements: dedup(n) and dedup(n, by), the items that were not among the last n.
#pragma once

#include <penstock/core/ask.hpp>            // defines: asks::returns
#include <penstock/core/blame.hpp>          // defines: blame
#include <penstock/core/dropping_over.hpp>  // defines: dropping_over
#include <penstock/core/holding.hpp>        // defines: holding, tally, stage, broken_chain, config_error

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace penstock {

namespace detail {

/// What dedup remembers of a result of `by`: text by value, as a view would outlive its item.
template <class R>
using remembered = std::conditional_t<std::is_convertible_v<R, std::string_view>, std::string, std::remove_cvref_t<R>>;

template <class T>
concept comparable_key = std::movable<T> && !std::is_floating_point_v<T> && /* NaN equals nothing */ std::equality_comparable<T> && requires(T const& t) {
    { std::hash<T>{}(t) } -> std::convertible_to<std::size_t>;
};
template <class Key>
consteval bool tells_apart() {
    constexpr bool ok = comparable_key<Key>;
    static_assert(ok, "dedup tells items apart by a key that has std::hash and ==, and is no fraction, as NaN equals nothing. HINT: dedup(n, by), with a function of the item that returns a whole number or text");
    return ok;
}

/// The last n keys. While all differ, no memory is taken or given back once n have come.
template <class Key>
class recent {
public:
    explicit recent(std::uint64_t n) : n_(n) {}

    /// Remembers the key of the next item, in place of that of n items before; false if it is among the last n.
    bool add(Key key) {
        auto const at = added_++;
        if (lines_.size() < n_) lines_.push_back(nullptr);
        auto& line = lines_[at % n_];
        auto found = last_.find(key);
        bool const fresh = found == last_.end();
        if (!fresh) found->second = at;
        auto spare = typename table::node_type{};
        if (line && line->second + n_ == at) spare = last_.extract(line->first);  // nobody had this key since
        if (fresh) {
            if (spare) {
                spare.key() = std::move(key);
                spare.mapped() = at;
                found = last_.insert(std::move(spare)).position;
            } else found = last_.emplace(std::move(key), at).first;
        }
        line = std::addressof(*found);
        return fresh;
    }
    /// The next item has no key.
    void add_nothing() {
        auto const at = added_++;
        if (lines_.size() < n_) lines_.push_back(nullptr);
        auto& line = lines_[at % n_];
        if (line && line->second + n_ == at) last_.erase(last_.find(line->first));
        line = nullptr;
    }
    void clear() {
        last_.clear();
        lines_.clear();
        added_ = 0;
    }

private:
    using table = std::unordered_map<Key, std::uint64_t>;  // key -> number of the last item that had it

    std::uint64_t n_, added_ = 0;
    table last_;
    std::vector<typename table::value_type*> lines_;  // of item i the entry, at i mod n; entries stay where they are until they leave
};

}  // namespace detail

template <class S, class By>
class [[nodiscard]] dedup_stage : public holding<dedup_stage<S, By>, S, dropping_over<S>> {
    using key = detail::remembered<std::invoke_result_t<By&, typename S::item_type const&>>;

public:
    static constexpr auto name = "dedup";
    using item_type = typename S::item_type;
    dedup_stage(S before, std::uint64_t n, By by)
        : dedup_stage::holding(std::move(before), name, (std::max)(std::uint64_t{16}, n / 4)), n_(n), by_(std::move(by)), keys_(n) {}

    std::optional<item_type> next() {
        while (true) {
            auto const number = this->replay_.pulls();
            this->replay_.release(first());
            auto item = this->replay_.pull(this->up);
            if (!item) return item;
            if (remember(number, *item)) {
                this->waiting.join(*item);
                return item;
            }
            this->waiting.add(*item);
        }
    }
    tally held() const { return held_; }
    void clear() {
        keys_.clear();
        marks_.clear();
        oldest_ = 0;
        held_ = {};
    }
    static void position(auto& self, auto& p) {
        p.same("window", self.n_);
        p.now("first", self.first(), self.from_);
    }
    void loaded() {
        this->replay_.repeat(this->up, [this](std::uint64_t i) { return i >= from_; }, [this](std::uint64_t i, item_type&& item) {
            try {
                remember(i, item);
            } catch (...) {  // it failed before as well: such an item is remembered without a key
            }
        });
        this->replay_.release(first());
    }

private:
    struct mark {
        std::uint64_t number = 0;  // of its pull
        tally identity{};
    };

    std::uint64_t first() const { return marks_.empty() ? this->replay_.pulls() : marks_[oldest_].number; }
    /// True if the item's key is not among the last n. An item whose key cannot be told takes its place among them all the same.
    bool remember(std::uint64_t number, item_type& item) {
        auto now = mark{number, {}};
        now.identity.add(item);
        held_.count += 1;
        held_.hash += now.identity.hash;
        if (marks_.size() < n_) marks_.push_back(now);
        else {
            held_.count -= 1;
            held_.hash -= marks_[oldest_].identity.hash;
            marks_[oldest_] = now;
            oldest_ = (oldest_ + 1) % marks_.size();
        }
        auto k = std::optional<key>{};
        try {
            k.emplace(blame("dedup", item, [&]() -> decltype(auto) { return by_(std::as_const(item)); }));
        } catch (...) {
            keys_.add_nothing();
            throw;
        }
        return keys_.add(std::move(*k));
    }

    std::uint64_t n_;
    By by_;
    detail::recent<key> keys_;
    std::uint64_t from_ = 0;  // number of the first pull that was remembered when the state at hand was saved
    std::vector<mark> marks_;  // of the last n items, a ring
    std::size_t oldest_ = 0;
    tally held_;
};

namespace detail {

inline std::uint64_t checked_window(std::int64_t n) {
    if (n < 1) throw config_error(message("dedup(n): n must be >= 1, got ", n, "\n  HINT: n is how many items back to look; dedup(1) drops immediate repeats"));
    return static_cast<std::uint64_t>(n);
}

}  // namespace detail

/// Drops every item whose key was that of one of the last `n` items before it on this rank, dropped ones included. The key is by(item), by(value) of a
/// keyed item: a number, text, whatever has std::hash and ==. Keys are compared whole, so nothing is dropped by a collision.
///
/// Order    unchanged
/// Buffers  no items; the keys of the last n
/// Resume   exact, replay of at most 1.25 * n + 16 items, of which n are made for their keys; by must not depend on earlier calls.
///          Looks back within one rank and epoch, and in another world from its start. The number of items is not known before, so world_max ends here
/// Threads  none; by runs on the thread that pulls
/// Errors   forwards those of the stages before, and of by: over keyed items as a stage_error that names the sample. Either consumes its item;
///          config_error if n < 1
///
///     from_vector({1, 2, 2, 3, 1}) | dedup(2, [](int i) { return i; })    // 1 2 3 1
template <class By>
auto dedup(std::int64_t n, By by) {
    return stage("dedup", [n = detail::checked_window(n), by = std::move(by)]<class S>(S input) mutable {
        using item = typename S::item_type;
        if constexpr (!asks::returns<"dedup", item const, By>()) return broken_chain{};
        else if constexpr (!detail::tells_apart<detail::remembered<std::invoke_result_t<By&, value_of<item> const&>>>()) return broken_chain{};
        else {
            auto of_value = [by = std::move(by)](item const& i) mutable -> decltype(auto) { return by(value(i)); };
            return dedup_stage<S, decltype(of_value)>(std::move(input), n, std::move(of_value));
        }
    });
}
/// The same by the key of a keyed item (the sample's name), by the whole of any other.
inline auto dedup(std::int64_t n) {
    return stage("dedup", [n = detail::checked_window(n)]<class S>(S input) {
        using item = typename S::item_type;
        if constexpr (!detail::tells_apart<std::conditional_t<is_keyed<item>, std::string, item>>()) return broken_chain{};
        else {
            auto whole = [](item const& i) -> auto const& {
                if constexpr (is_keyed<item>) return i.key;
                else return i;
            };
            return dedup_stage<S, decltype(whole)>(std::move(input), n, std::move(whole));
        }
    });
}

}  // namespace penstock
