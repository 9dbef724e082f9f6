// Implements: subject, a chain under test behind one type: the battery is compiled once, and not for every chain anew.
#pragma once

#include <penstock/core/batch_type.hpp>  // defines: batch_of, is_batch
#include <support/sources.hpp>           // defines: move_only, source_spec, the protocol

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
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

/// A chain whose items are text. What it cannot do is told by the first four.
class subject {
public:
    virtual ~subject() = default;
    virtual bool resets() const = 0;
    virtual bool saves() const = 0;
    virtual bool identified() const = 0;  ///< its items have covers
    virtual bool batches() const = 0;

    virtual std::optional<std::string> next() = 0;
    virtual std::optional<cover> next_cover() = 0;
    virtual bool discard() = 0;
    virtual bool for_each_while(std::function<bool(std::string)> const& f) = 0;
    /// The items of a range-for over the first k, then of one over the rest.
    virtual std::vector<std::string> looped(std::size_t k) = 0;
    virtual void reset(epoch e) = 0;
    virtual size_hint hint() const = 0;
    virtual chain_facts facts() const = 0;
    virtual state save() const = 0;
    virtual void load(state const& s) = 0;
    virtual cover trailing() = 0;
    /// The chain, moved into another object; this one holds what was moved away.
    virtual std::unique_ptr<subject> moved() = 0;
};

template <class P, class Show>
class subject_of final : public subject {
    using item = typename P::item_type;
    static constexpr bool rewinds = requires(P& p, epoch e) { p.reset(e); };
    static constexpr bool resumes = requires(P const& p) { p.save(); };
    static constexpr bool covered = is_keyed<item> || is_batch<item>;

public:
    subject_of(P p, Show show) : p_(std::move(p)), show_(std::move(show)) {}

    bool resets() const override { return rewinds; }
    bool saves() const override { return resumes; }
    bool identified() const override { return covered; }
    bool batches() const override { return is_batch<item>; }

    std::optional<std::string> next() override {
        auto i = p_.next();
        if (!i) return std::nullopt;
        return show_(*i);
    }
    std::optional<cover> next_cover() override {
        auto i = p_.next();
        if (!i) return std::nullopt;
        if constexpr (covered) return i->cover;
        else return cover{};
    }
    bool discard() override { return penstock::discard(p_.inner()); }
    bool for_each_while(std::function<bool(std::string)> const& f) override {
        auto g = [&](item&& i) { return f(show_(i)); };
        return p_.for_each_while(g);
    }
    std::vector<std::string> looped(std::size_t k) override {
        std::vector<std::string> all;
        for (auto& i : p_ | std::views::take(static_cast<std::ptrdiff_t>(k))) all.push_back(show_(i));
        for (auto& i : p_) all.push_back(show_(i));
        return all;
    }
    void reset(epoch e) override {
        if constexpr (rewinds) p_.reset(e);
    }
    size_hint hint() const override {
        return p_.hint();
    }
    chain_facts facts() const override { return p_.facts(); }
    state save() const override {
        if constexpr (resumes) return p_.save();
        else return {};
    }
    void load(state const& s) override {
        if constexpr (resumes) p_.load(s);
    }
    cover trailing() override { return penstock::trailing(p_); }
    std::unique_ptr<subject> moved() override { return std::make_unique<subject_of>(std::move(p_), show_); }

private:
    P p_;
    Show show_;
};

template <class P, class Show>
std::unique_ptr<subject> erased(P p, Show show) {
    return std::make_unique<subject_of<P, Show>>(std::move(p), std::move(show));
}

}  // namespace penstock::test
