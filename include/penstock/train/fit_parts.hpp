// Implements: fit_parts, what fit asks of its parts: each is asked for what it has a member for.
#pragma once

#include <penstock/core/world.hpp>          // defines: world
#include <penstock/dist/context.hpp>        // defines: dist::context
#include <penstock/train/feedback.hpp>      // defines: is_feedback
#include <penstock/train/fit_log.hpp>       // defines: fit_log, part_metrics, left_out_counts
#include <penstock/train/fit_options.hpp>   // defines: metric_values, metrics_row
#include <penstock/train/precision.hpp>     // defines: precision

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace penstock::train {

/// What the pipeline has left out since it was built.
template <class Data>
left_out_counts left_out_of(Data const& pipeline) {
    left_out_counts n;
    if constexpr (requires { pipeline.stats(); })
        for (auto const& s : pipeline.stats()) n.samples += s.left_out, n.parts += s.left_out_parts;
    return n;
}

/// Over the tuple of parts, which it only refers to. fit() names the members.
template <class Parts, class Model>
class fit_parts {
    template <class P>
    static constexpr bool measures = requires(P part, dist::context& ctx, Model& model) { part.on_epoch(ctx, model, precision{}, std::uint64_t{}, std::uint64_t{}); };

public:
    static constexpr bool any_feedback = []<class... P>(std::tuple<P...>*) { return (is_feedback<P> || ...); }(static_cast<Parts*>(nullptr));

    explicit fit_parts(Parts& parts) : parts_(parts) {}

    /// Calls f for every part, in their order.
    template <class F>
    void operator()(F f) const {
        std::apply([&](auto&... part) { (f(part), ...); }, parts_);
    }

    /// Why one of them cannot run in this world; empty: all can.
    std::string fault(world w) const {
        std::string text;
        (*this)([&](auto const& part) {
            if constexpr (requires { part.fault(w); })
                if (text.empty()) text = part.fault(w);
        });
        return text;
    }
    /// Those that want to hear of metrics are fed from the log.
    void listen(fit_log& log) const {
        (*this)([&](auto& part) {
            if constexpr (requires(metrics_row const& row) { part.on_metrics(row); }) log.feed([&part](metrics_row const& row) { part.on_metrics(row); });
        });
    }
    template <class Info>
    void on_step(Info const& info) const {
        (*this)([&](auto& part) {
            if constexpr (requires { part.on_step(info); }) part.on_step(info);
        });
    }
    bool want_to_stop() const {
        bool any = false;
        (*this)([&](auto& part) {
            if constexpr (requires { part.wants_to_stop(); }) any = any || part.wants_to_stop();
        });
        return any;
    }
    /// Whether one has something to do after so many epochs; a part without due() always has.
    bool due(std::uint64_t epochs_done) const {
        bool any = false;
        (*this)([&]<class P>(P& part) {
            if constexpr (measures<P>) {
                if constexpr (requires { part.due(epochs_done); }) any = any || part.due(epochs_done);
                else any = true;
            }
        });
        return any;
    }
    /// How many have an on_epoch.
    std::size_t measuring() const {
        std::size_t n = 0;
        (*this)([&]<class P>(P&) { n += measures<P>; });
        return n;
    }
    /// What each of those returns; nothing when one was cut short.
    std::optional<std::vector<part_metrics>> on_epoch(dist::context& ctx, Model& model, precision p, std::uint64_t seed, std::uint64_t epochs_done) const {
        std::optional<std::vector<part_metrics>> all(std::in_place);
        (*this)([&]<class P>(P& part) {
            if constexpr (measures<P>) {
                if (!all) return;
                std::optional<metric_values> values = part.on_epoch(ctx, model, p, seed, epochs_done);
                if (!values) return all.reset();
                all->push_back({.values = std::move(*values)});
                [[maybe_unused]] auto& one = all->back();
                if constexpr (requires { one.directions = part.directions(); }) one.directions = part.directions();
            }
        });
        return all;
    }
    /// Of the pipelines that parts read.
    left_out_counts left_out() const {
        left_out_counts n;
        (*this)([&](auto const& part) {
            if constexpr (requires { left_out_of(part.data); }) {
                auto const more = left_out_of(part.data);
                n.samples += more.samples, n.parts += more.parts;
            }
        });
        return n;
    }

private:
    Parts& parts_;
};

}  // namespace penstock::train
