// Implements: sources for tests: debug_source with its probe and its variants, ints, by_ref, move_only, error_of.
#pragma once

#include <penstock/core/stage.hpp>  // defines: pipeline, keyed, stage_error, the protocol
#include <penstock/core/world.hpp>  // defines: world

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock::test {

/// What a debug_source saw; shared by all moved copies of it, readable from the test's thread at any time.
class probe {
public:
    std::atomic<std::uint64_t> pulls{0};      ///< calls of next()
    std::atomic<std::uint64_t> delays{0};     ///< begun; until one ends its next() touches nothing
    std::atomic<std::uint64_t> made{0};       ///< items made
    std::atomic<std::uint64_t> thrown{0};     ///< errors of the spec thrown
    std::atomic<std::uint64_t> discards{0};   ///< items passed over unmade
    std::atomic<std::uint64_t> after_end{0};  ///< calls of next() after the end

    void violation(std::string text) {
        std::lock_guard guard(mutex_);
        if (violations_.size() < 20) violations_.push_back(std::move(text));
    }
    std::vector<std::string> violations() const {
        std::lock_guard guard(mutex_);
        return violations_;
    }

private:
    friend class entered;
    std::atomic<bool> busy_{false};
    mutable std::mutex mutex_;
    std::vector<std::string> violations_;
};

/// Marks the source as being used; a second thread inside it is a violation.
class entered {
public:
    entered(probe& p, bool moved, char const* what) : p_(p), first_(!p.busy_.exchange(true)) {
        if (!first_) p.violation(message(what, ": called while another thread is inside the source"));
        if (moved) p.violation(message(what, ": called on a source that was moved away"));
    }
    entered(entered const&) = delete;
    ~entered() {
        if (first_) p_.busy_ = false;
    }

private:
    probe& p_;
    bool first_;
};

/// What a debug_source is to do. Slot s of epoch e is the number s + 10000 e; rank r of W has the slots [rn/W, (r+1)n/W).
struct source_spec {
    int n = 0;
    penstock::world world{};
    std::vector<int> errors{};               ///< slots that throw a stage_error naming part.tar and key k<slot>
    std::chrono::microseconds delay{0};      ///< per item
    bool panics = false;                     ///< next() throws: for chains that must not pull
    std::shared_ptr<probe> log = std::make_shared<probe>();

    int begin(std::uint32_t rank) const { return static_cast<int>(std::int64_t{n} * rank / world.size); }
    int first() const { return begin(world.rank); }
    int last() const { return begin(world.rank + 1); }
    std::uint64_t world_max() const {
        int most = 0;
        for (std::uint32_t r = 0; r != world.size; ++r) most = (std::max)(most, begin(r + 1) - begin(r));
        return static_cast<std::uint64_t>(most);
    }
};

struct as_is {
    int operator()(int i) const { return i; }
};

/// An item that can only be moved and has no default; the number leaves with the move.
class move_only {
public:
    explicit move_only(int i) : number_(std::make_unique<int>(i)) {}
    int number() const { return number_ ? *number_ : -1; }

private:
    std::unique_ptr<int> number_;
};
struct as_move_only {
    move_only operator()(int i) const { return move_only(i); }
};

/// keyed items with all that identifies them; `input` makes the value (or a keyed item, whose identity is then filled in).
template <class Input>
struct as_keyed {
    Input input;
    int n = 1;
    auto operator()(int number) const {
        auto const slot = static_cast<std::uint64_t>(number % 10000), pass = static_cast<std::uint64_t>(number / 10000);
        auto fill = [&](auto item) {
            item.id = slot;
            item.pass = pass;
            item.key = "k" + std::to_string(slot);
            item.cover = cover::at(pass * static_cast<std::uint64_t>(n) + slot);
            return item;
        };
        auto made = input(number);
        using made_type = decltype(made);
        if constexpr (is_keyed<made_type>) return fill(std::move(made));
        else return fill(keyed<made_type>{0, 0, {}, {}, 1, std::move(made)});
    }
};

/// A source with every optional member that checks how it is used; input(number) makes the items.
template <class Input = as_is>
class debug_source {
public:
    using item_type = std::invoke_result_t<Input const&, int>;

    explicit debug_source(source_spec spec, Input input = {}) : spec_(std::move(spec)), input_(std::move(input)), at_(spec_.first()) {}
    debug_source(debug_source&& other) noexcept
        : spec_(other.spec_), input_(other.input_), at_(other.at_), epoch_(other.epoch_), ended_(other.ended_), moved_(other.moved_) {
        other.moved_ = true;
    }

    std::optional<item_type> next() {
        entered guard(*spec_.log, moved_, "next");
        ++spec_.log->pulls;
        if (spec_.panics) throw stage_error("panicking_source", fault::io, {}, "it was pulled, but must not be");
        if (!advance()) return std::nullopt;
        auto const slot = at_ - 1;
        auto const index = static_cast<int>(epoch_);
        if (spec_.delay.count() != 0) {
            ++spec_.log->delays;
            std::this_thread::sleep_for(spec_.delay);
        }
        if (std::find(spec_.errors.begin(), spec_.errors.end(), slot) != spec_.errors.end()) {
            ++spec_.log->thrown;
            throw stage_error("source", fault::content, {"part.tar", "k" + std::to_string(slot), static_cast<std::uint64_t>(slot) * 512, static_cast<std::uint64_t>(slot)}, "broken on purpose");
        }
        ++spec_.log->made;
        return std::optional<item_type>(input_(slot + 10000 * index));
    }
    bool discard() {
        entered guard(*spec_.log, moved_, "discard");
        ++spec_.log->discards;
        return advance();
    }
    void reset(epoch e) {
        entered guard(*spec_.log, moved_, "reset");
        epoch_ = e.index;
        at_ = spec_.first();
        ended_ = false;
    }
    size_hint hint() const {
        auto const left = static_cast<std::uint64_t>(spec_.last() - at_);
        return {left - (std::min)(left, std::uint64_t{spec_.errors.size()}), left};
    }
    void save(state_writer& w) const {
        entered guard(*spec_.log, moved_, "save");
        w.stage("debug_source", 1).put("at", static_cast<std::uint64_t>(at_)).put("epoch", epoch_);
    }
    void load(state_reader& r) {
        entered guard(*spec_.log, moved_, "load");
        auto const record = r.stage("debug_source", 1);
        at_ = static_cast<int>(record.get("at"));
        epoch_ = record.get("epoch");
        ended_ = false;
    }
    source_spec const& spec() const { return spec_; }

private:
    bool advance() {
        if (at_ == spec_.last()) {
            if (ended_) ++spec_.log->after_end;
            ended_ = true;
            return false;
        }
        ++at_;
        return true;
    }

    source_spec spec_;
    Input input_;
    int at_;
    std::uint64_t epoch_ = 0;
    bool ended_ = false;
    bool moved_ = false;
};

/// The same, with the most items any rank yields.
template <class Input = as_is>
struct planned_source : debug_source<Input> {
    using debug_source<Input>::debug_source;
    chain_facts facts() const { return {.world_max = this->spec().world_max(), .counted = true}; }
};

/// The same with next() alone: no reset, no hint, no state.
template <class S>
struct bare_source {
    using item_type = typename S::item_type;
    S inner;
    std::optional<item_type> next() { return inner.next(); }
};

inline auto source_of(source_spec spec) { return pipeline(debug_source<>(std::move(spec))); }
/// 0, 1, ..., n - 1; the probe of `log` counts.
inline auto counting_source(int n, std::shared_ptr<probe> log) { return source_of({.n = n, .log = std::move(log)}); }
/// Throws when it is pulled.
inline auto panicking_source() { return source_of({.n = 1, .panics = true}); }
/// 0, 1, ..., n - 1, but the slots in `errors` throw.
inline auto throwing_source(int n, std::vector<int> errors) { return source_of({.n = n, .errors = std::move(errors)}); }
inline auto slow_source(int n, std::chrono::microseconds per_item) { return source_of({.n = n, .delay = per_item}); }
/// keyed<int>, planned: the share of one rank of a world.
inline auto keyed_source(int n, world w = {}, std::vector<int> errors = {}) {
    return pipeline(planned_source<as_keyed<as_is>>({.n = n, .world = w, .errors = std::move(errors)}, as_keyed<as_is>{{}, n}));
}

/// 0, 1, ..., n - 1, kept by the test: `pulls` counts.
struct ints {
    int n = 0;
    std::uint64_t pulls = 0;
    int at = 0;

    using item_type = int;
    std::optional<int> next() {
        ++pulls;
        return at == n ? std::nullopt : std::optional(at++);
    }
};
/// A pipeline over a source that the test keeps.
template <class S>
auto by_ref(S& s) {
    struct ref {
        using item_type = typename S::item_type;
        S* s;
        std::optional<item_type> next() { return s->next(); }
    };
    return pipeline<ref>(ref{&s});
}

/// The text of the error of type E that f throws; empty if it throws none. Errors of other types pass.
template <class E, class F>
std::string error_of(F f) {
    try {
        (void)f();
    } catch (E const& e) {
        return e.what();
    }
    return {};
}

}  // namespace penstock::test
