// Implements: any_pipeline<T>, a pipeline whose type tells its items alone; for members, containers, and choices made at run time.
#pragma once

#include <penstock/core/errors.hpp>        // defines: config_error, message
#include <penstock/core/pipeline.hpp>      // defines: pipeline; and the protocol of source.hpp

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace penstock {

/// Any source of T behind one virtual call per item (2 to 3 ns; one per run of items where the consumer iterates inside).
///
/// It offers all of the protocol. What the source inside lacks answers as unknown (hint), does nothing (trailing, attach, stats), or,
/// where doing nothing would be wrong (reset, save, load), throws a config_error.
template <class T>
class any_source {
public:
    using item_type = T;

    template <class S>
        requires(!std::is_same_v<S, any_source> && source<S> && std::is_same_v<typename S::item_type, T>)
    explicit any_source(S inside) : inside_(std::make_unique<held<S>>(std::move(inside))) {}

    std::optional<T> next() { return inside_->next(); }
    bool discard() { return inside_->discard(); }
    template <class F>
    bool for_each_while(F& f) {
        struct call final : visitor {
            F* f;
            explicit call(F& g) : f(&g) {}
            bool operator()(T&& item) override { return (*f)(std::move(item)); }
        } v(f);
        return inside_->for_each_while(v);
    }
    void reset(epoch e) { inside_->reset(e); }
    size_hint hint() const { return inside_->hint(); }
    chain_facts facts() const { return inside_->facts(); }
    void save(state_writer& w) const { inside_->save(w); }
    void load(state_reader& r) { inside_->load(r); }
    cover trailing() { return inside_->trailing(); }
    void attach(std::stop_token t) { inside_->attach(std::move(t)); }
    void stats(stats_report& r) const { inside_->stats(r); }
    void controls(control_walk& w) const { inside_->controls(w); }

private:
    struct visitor {
        virtual bool operator()(T&& item) = 0;

    protected:
        ~visitor() = default;
    };
    struct interface {
        virtual ~interface() = default;
        virtual std::optional<T> next() = 0;
        virtual bool discard() = 0;
        virtual bool for_each_while(visitor& f) = 0;
        virtual void reset(epoch e) = 0;
        virtual size_hint hint() const = 0;
        virtual chain_facts facts() const = 0;
        virtual void save(state_writer& w) const = 0;
        virtual void load(state_reader& r) = 0;
        virtual cover trailing() = 0;
        virtual void attach(std::stop_token t) = 0;
        virtual void stats(stats_report& r) const = 0;
        virtual void controls(control_walk& w) const = 0;
    };
    template <class S>
    struct held final : interface {
        S s;
        bool fresh = true;  // a source that cannot be rewound takes the reset that precedes the first item
        explicit held(S inside) : s(std::move(inside)) {}

        std::optional<T> next() override {
            if constexpr (!resettable<S>) fresh = false;
            return s.next();
        }
        bool discard() override {
            fresh = false;
            return penstock::discard(s);
        }
        bool for_each_while(visitor& f) override {
            fresh = false;
            return penstock::for_each_while(s, f);
        }
        void reset(epoch e) override {
            if constexpr (resettable<S>) s.reset(e);
            else if (!fresh) lacks("reset", "be rewound", "begins again");
        }
        size_hint hint() const override { return hint_of(s); }
        chain_facts facts() const override { return facts_of(s); }
        void save(state_writer& w) const override {
            if constexpr (resumable<S>) s.save(w);
            else lacks("save", "save a position", "tells its position");
        }
        void load(state_reader& r) override {
            if constexpr (resumable<S>) s.load(r);
            else lacks("load", "load a position", "tells its position");
        }
        cover trailing() override { return penstock::trailing(s); }
        void attach(std::stop_token t) override { penstock::attach(s, std::move(t)); }
        void stats(stats_report& r) const override { collect_stats(s, r); }
        void controls(control_walk& w) const override {
            if constexpr (steered<S>) s.controls(w);
        }
        [[noreturn]] static void lacks(char const* member, char const* what, char const* able) {
            throw config_error(message("any_pipeline: ", member, ": the chain inside cannot ", what, "\n  HINT: build it from a source that ", able, ": from_vector, range, shards"));
        }
    };

    std::unique_ptr<interface> inside_;
};

/// A chain of any stages that yields T: `any_pipeline<int> p = any(from_vector({1, 2}) | map(f));`. Movable, and assignable, as pipelines of named types are not.
template <class T>
using any_pipeline = pipeline<any_source<T>>;

/// Forgets the stages of a chain: `std::vector<any_pipeline<int>> all; all.push_back(any(from_vector({1, 2}) | map(f)));`.
template <class S>
any_pipeline<typename S::item_type> any(pipeline<S> chain) {
    if constexpr (std::is_same_v<S, any_source<typename S::item_type>>) return chain;
    else return any_pipeline<typename S::item_type>(any_source<typename S::item_type>(std::move(chain).release()));
}

}  // namespace penstock
