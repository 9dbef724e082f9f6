// Implements: chain(a, b, ...), one source after the other.
#pragma once

#include <penstock/core/fan_in.hpp>  // defines: branches, fan_in, named_source, epoch, size_hint, state_*

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <utility>

namespace penstock {

template <class Branches>
class [[nodiscard]] chain_stage : public fan_in<Branches> {
public:
    using item_type = typename Branches::item_type;
    explicit chain_stage(Branches all) : fan_in<Branches>{std::move(all), "chain"} {}

    std::optional<item_type> next() {
        for (; at_ != this->in.size(); ++at_)
            if (auto item = this->in.visit(at_, [](auto& s) { return s.next(); })) {
                this->in.stamp(*item, at_);
                return item;
            }
        return std::nullopt;
    }
    bool discard() {
        for (; at_ != this->in.size(); ++at_)
            if (this->in.visit(at_, [](auto& s) { return penstock::discard(s); })) return true;
        return false;
    }
    void reset(epoch e)
        requires Branches::resets
    {
        refuse_unnamed_recut<item_type>(e, "chain");
        for (std::size_t i = 0; i != this->in.size(); ++i) this->in.reset(i, e, e.index);
        at_ = 0;
    }
    size_hint hint() const {
        size_hint sum{0, 0};
        for (auto i = at_; i != this->in.size(); ++i) sum = sum.plus(this->in.hint(i));
        return sum;
    }
    chain_facts facts() const {  // every rank yields its parts of all of them
        return this->in.joint(detail::sum_of);
    }
    void save(state_writer& w) const
        requires Branches::resumes
    {
        w.stage("chain", 1).put("sources", this->in.size()).put("at", at_);
        for (std::size_t i = 0; i != this->in.size(); ++i) this->in.save(i, w);
    }
    void load(state_reader& r)
        requires Branches::resumes
    {
        auto const record = r.stage("chain", 1);
        if (record.get("sources") != this->in.size() || record.get("at") > this->in.size())
            throw state_error(message("load: chain: saved in source ", record.get("at"), " of ", record.get("sources"), ", this one has ", this->in.size(),
                                      "\n  HINT: build it with the sources that were saved"));
        at_ = static_cast<std::size_t>(record.get("at"));
        for (std::size_t i = 0; i != this->in.size(); ++i) this->in.load(i, r);
    }
    cover trailing()  // not joined to the items of the next source, whose positions are of another line
        requires Branches::drops
    {
        cover all;
        this->in.each([&](auto& s, std::size_t) { all.add(penstock::trailing(s)); });
        return all;
    }
    template <class F>
    bool for_each_while(F& f) {
        for (; at_ != this->in.size(); ++at_) {
            auto g = [&](item_type&& item) {
                this->in.stamp(item, at_);
                return f(std::move(item));
            };
            if (!this->in.visit(at_, [&](auto& s) { return penstock::for_each_while(s, g); })) return false;
        }
        return true;
    }

private:
    std::size_t at_ = 0;
};

namespace detail {

template <class... S>
auto chain_of(named_source<S>... all) {
    constexpr bool ok = branches<S...>::one_item_type;
    static_assert(ok, "chain(a, b): the sources yield different item types. HINT: map each to one type first");
    if constexpr (!ok) return broken_chain{};
    else {
        no_weights("chain", all...);
        return joined<branches<S...>>("chain", chain_stage(branches<S...>("chain", std::move(all)...)));
    }
}

}  // namespace detail

/// All items of a, then all of b, and so on. a | chain(b) is chain(a, b). Sources may have names: chain(named("old", a), named("new", b)).
///
/// Order    that of each source, one source after the other
/// Buffers  nothing
/// Resume   exact, one integer beside the states of the sources
/// Threads  none
/// Errors   forwards those of the sources, each at its place; config_error for names that are empty or equal
///
///     chain(range(2), from_vector<std::int64_t>({7, 8}))    // 0 1 7 8
template <class A, class B, class... More>
auto chain(A&& a, B&& b, More&&... more) {
    if constexpr (!detail::joinable<A, B, More...>()) return broken_chain{};
    else
        return detail::with_names([](auto... all) { return detail::chain_of(std::move(all)...); }, std::forward<A>(a), std::forward<B>(b), std::forward<More>(more)...);
}
template <class B>
auto chain(B&& b) {
    if constexpr (!detail::joinable<B>()) return broken_chain{};
    else
        return stage("chain", [b = detail::as_named(std::forward<B>(b), 1)]<class S>(S input) mutable {
            auto both = detail::chain_of(named_source<S>{"0", std::nullopt, std::move(input)}, std::move(b));
            if constexpr (is_pipeline<decltype(both)>) return std::move(both).release();
            else return both;
        });
}

}  // namespace penstock
