// Implements: on_error(skips{...}), items that cannot be made left out, counted and named, up to a limit.
#pragma once

#include <penstock/core/dropping_over.hpp>  // defines: dropping_over
#include <penstock/core/positioned.hpp>     // defines: positioned, stage, broken_chain, stage_error, fault, config_error

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock {

/// How many failures may be left out. The limits tell a few bad samples from a wrong path, codec or function.
struct skips {
    std::int64_t total = 1000;   ///< most items left out in an epoch of this rank
    std::int64_t in_a_row = 10;  ///< most of them without a good item in between
    bool user = false;           ///< also those for which a function of the user throws (fault::user; over plain items any std::exception of his)
};

/// What a function given to on_error decides about one failure.
enum class action {
    skip,   ///< leave the item out
    raise,  ///< let the error pass
};

namespace detail {
/// on_error without a function.
struct tell_nobody {
    void operator()(stage_error const&) const {}
};

/// Whether a user's function failed for what will fail the next items too: a wrong configuration or state, no memory, the operating system.
inline bool beyond_one_item(std::exception const& e) {
    bool const is_stage_error = dynamic_cast<stage_error const*>(&e) != nullptr;
    if (!is_stage_error && dynamic_cast<error const*>(&e)) return true;
    if (dynamic_cast<std::bad_alloc const*>(&e) || dynamic_cast<std::system_error const*>(&e)) return true;
    try {
        std::rethrow_if_nested(e);
    } catch (std::exception const& cause) {
        return beyond_one_item(cause);
    } catch (...) {
    }
    return false;
}
}  // namespace detail

template <class S, class F>
class [[nodiscard]] on_error_stage : public positioned<on_error_stage<S, F>, S, dropping_over<S>> {
    static constexpr bool decides = std::same_as<std::invoke_result_t<F&, stage_error const&>, action>;

public:
    static constexpr auto name = "on_error";
    using item_type = typename S::item_type;
    on_error_stage(S before, skips o, F f)
        : on_error_stage::positioned(std::move(before)), total_(static_cast<std::uint64_t>(o.total)), in_a_row_(static_cast<std::uint64_t>(o.in_a_row)), user_(o.user), f_(std::move(f)) {}

    std::optional<item_type> next() {
        while (true) try {
                auto item = this->up.next();
                if (item) passed(*item);
                return item;
            } catch (...) {
                leave_out();
            }
    }
    // No discard(): whether the item fails, and is none, shows only when it is made.

    void restart() { skipped_ = row_ = 0; }
    static void position(auto& self, auto& p) {
        p("skipped", self.skipped_);
        p("in_a_row", self.row_);
    }
    chain_facts facts() const { return facts_of(this->up).at_most(); }
    template <class G>
    bool for_each_while(G& g) {
        bool beyond = false;  // in g: what it throws is not ours
        auto h = [&](item_type&& item) {
            passed(item);
            beyond = true;
            bool const go = g(std::move(item));
            beyond = false;
            return go;
        };
        while (true) try {
                return penstock::for_each_while(this->up, h);
            } catch (...) {
                if (beyond) throw;
                leave_out();
            }
    }
    void stats(stats_report& r) const {
        collect_stats(this->up, r);
        auto& s = r.emplace_back();
        s.name = name;
        s.items = items_;
        s.errors = errors_;
        s.left_out = left_out_;
        s.left_out_parts = parts_;
        s.note = told();
    }

private:
    static constexpr std::size_t remembered = 3;

    void passed(item_type& item) {
        ++items_;
        row_ = 0;
        this->waiting.join(item);
    }
    /// Inside a handler: returns if the failure may be left out, else throws it again.
    void leave_out() {
        try {
            throw;
        } catch (stage_error const& e) {
            judge(e);
        } catch (std::exception const& e) {
            if (!user_ || detail::beyond_one_item(e)) throw;
            judge(stage_error("function", fault::user, {}, e.what()));
        }
    }
    void judge(stage_error const& e) {
        bool const ours = e.kind == fault::content || (user_ && e.kind == fault::user && !detail::beyond_one_item(e));
        if (!ours || e.stage == name) throw;  // another on_error that has given up is not to be silenced
        if constexpr (decides)
            if (f_(e) == action::raise) throw;
        if (skipped_ == total_) give_up(e, message(skipped_, " items were skipped in this epoch, all that .total allows"));
        if (row_ == in_a_row_) give_up(e, message(row_, " items in a row were skipped, all that .in_a_row allows"));
        ++skipped_;
        ++row_;
        ++errors_;
        left_out_ += e.lost;
        parts_ += e.lost == 0 && !e.where.shard.empty();
        this->waiting.add(e.positions);
        remember(e.what());
        if constexpr (!decides) f_(e);
    }
    [[noreturn]] void give_up(stage_error const& e, std::string const& limit) {
        remember(e.what());
        stage_error last(name, e.kind, e.where, message(limit, ", and one more fails. The last ones:", told()), "mend or leave out the shards named above; raise the limit if so many are to be expected");
        last.lost = e.lost;
        last.positions = e.positions;
        std::throw_with_nested(std::move(last));
    }
    void remember(std::string_view what) {
        if (causes_.size() == remembered) causes_.erase(causes_.begin());
        causes_.emplace_back(what.substr(0, what.find('\n')));
    }
    std::string told() const {
        std::string text;
        for (auto const& c : causes_) text += "\n    " + c;
        return text;
    }

    std::uint64_t total_, in_a_row_;
    bool user_;
    F f_;
    std::uint64_t skipped_ = 0, row_ = 0;  // of this epoch; since the last good item
    std::uint64_t items_ = 0, errors_ = 0, left_out_ = 0, parts_ = 0;  // since it was built: items, failures, samples and rests of shards that they cost
    std::vector<std::string> causes_;
};

/// Leaves out items that cannot be made: damaged, undecodable, and with `.user` those for which a function before it throws. They are counted and
/// named in stats(), and given to f(stage_error const&), which may return an `action` to decide. Of what is skipped no value is left; the next
/// item stands for it. Failures of disks and networks pass, and so does one more than the limits allow: as an error that names the last causes.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact, the counts of the epoch; items that are passed over after a load are made, as only that shows whether they fail, and f is told again.
///          world_max stays: it is the most that any rank yields
/// Threads  none; f runs on the thread that pulls
/// Errors   stage_error when a limit is exceeded, which consumes its item as well; forwards the others; config_error if a limit is < 1
///
///     range(4) | map(risky) | on_error(skips{.total = 2, .user = true})    // 0 1 3
template <class F = detail::tell_nobody>
auto on_error(skips o = {}, F f = {}) {
    constexpr auto hint = "\n  HINT: leave the stage out to skip nothing";
    if (o.total < 1) throw config_error(message("on_error(total): total must be >= 1, got ", o.total, hint));
    if (o.in_a_row < 1) throw config_error(message("on_error(in_a_row): in_a_row must be >= 1, got ", o.in_a_row, hint));
    return stage("on_error", [o, f = std::move(f)]<class S>(S input) mutable {
        constexpr bool ok = [] {
            if constexpr (std::invocable<F&, stage_error const&>) {
                using result = std::invoke_result_t<F&, stage_error const&>;
                return std::is_void_v<result> || std::same_as<result, action>;
            } else return false;
        }();
        static_assert(ok, "on_error(f): f must take a stage_error const& and return an action, or nothing. HINT: return action::skip or action::raise, or let it count: on_error(skips{.total = n})");
        if constexpr (ok) return on_error_stage<S, F>(std::move(input), o, std::move(f));
        else return broken_chain{};
    });
}
template <class F>
    requires(!std::convertible_to<F, skips>)
auto on_error(F f) {
    return on_error(skips{}, std::move(f));
}

}  // namespace penstock
