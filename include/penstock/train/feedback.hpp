// Implements: feedback(control, f), a part of fit through which training changes what the pipeline does, on every rank from the same step on.
#pragma once

#include <penstock/core/control.hpp>  // defines: control
#include <penstock/core/errors.hpp>   // defines: state_error, message
#include <penstock/train/settings.hpp>  // defines: settings

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock::train {

/// A value on its way from rank 0 to all ranks: of feedback part number `part`, counted from 1; 0 is none.
struct proposal {
    std::uint64_t part = 0, bits = 0;
    friend bool operator==(proposal const&, proposal const&) = default;
};

/// What a checkpoint keeps of the feedback parts: the values in force, and rank 0's proposals that no rank has heard of yet.
struct feedback_position {
    struct setting {
        std::string control;
        std::uint64_t bits = 0;
    };
    std::vector<setting> values{};   ///< by part
    std::optional<proposal> sent{};  ///< in the packet that is under way
    std::deque<proposal> waiting{};

    std::string text() const {
        auto out = std::to_string(values.size());
        for (auto const& v : values) out += ' ' + v.control + ' ' + std::to_string(v.bits);
        auto unheard = waiting;
        if (sent) unheard.push_front(*sent);
        for (auto const& p : unheard) out += ' ' + std::to_string(p.part) + ' ' + std::to_string(p.bits);
        return out;
    }
    /// The same position before its packet is sent again.
    static feedback_position parse(std::string_view text) {
        auto rest = text;
        auto const word = [&] {
            auto const cut = (std::min)(rest.find(' '), rest.size());
            auto const first = rest.substr(0, cut);
            rest.remove_prefix((std::min)(cut + 1, rest.size()));
            return first;
        };
        auto const number = [&] {
            auto const digits = word();
            std::uint64_t n = 0;
            auto const got = std::from_chars(digits.data(), digits.data() + digits.size(), n);
            if (got.ec != std::errc{} || got.ptr != digits.data() + digits.size())
                throw state_error(message("fit: the checkpoint's feedback is '", text, "', which names no values\n  HINT: the checkpoint is damaged; use an older one"));
            return n;
        };
        feedback_position out;
        for (auto n = number(); n != 0; --n) {
            std::string name(word());
            out.values.push_back({std::move(name), number()});
        }
        while (!rest.empty()) {
            auto const part = number();
            out.waiting.push_back({part, number()});
        }
        return out;
    }
};

template <class T, class F>
class feedback_part {
public:
    feedback_part(control<T> c, F f) : control_(std::move(c)), f_(std::move(f)) {}

    /// On rank 0, after a step: the value that f asks for.
    template <class Info>
        requires std::convertible_to<std::invoke_result_t<F&, Info const&>, std::optional<T>>
    std::optional<std::uint64_t> propose(Info const& info) {
        std::optional<T> const value = f_(info);
        return value ? std::optional(control<T>::pack(*value)) : std::nullopt;
    }
    std::string const& name() const { return control_.name(); }
    train::settings settings() const { return {{"kind", "feedback"}, {"control", name()}}; }
    std::uint64_t bits() const { return *control_.bits(); }
    /// Before an epoch begins.
    void begin_with(std::uint64_t bits) { *control_.bits() = bits; }
    /// From the next item of the pipeline on.
    template <class Data>
    void adopt(Data& data, std::uint64_t bits) {
        constexpr bool ok = requires { data.set(control_, control<T>::unpack(bits)); };
        static_assert(ok, "feedback(control, f): no stage of the pipeline reads a control. HINT: put steer(control, g) into the chain");
        if constexpr (ok) data.set(control_, control<T>::unpack(bits));
    }

private:
    control<T> control_;
    F f_;
};

template <class P>
inline constexpr bool is_feedback = false;
template <class T, class F>
inline constexpr bool is_feedback<feedback_part<T, F>> = true;

/// The feedback among the parts of a fit, over `each(g)`, which calls g for every part.
template <class Each>
class feedback_parts {
public:
    explicit feedback_parts(Each each) : each_(std::move(each)) {}

    static constexpr bool any = Each::any_feedback;

    void keep_values(feedback_position& at) {
        at.values.clear();
        numbered([&](auto& part, std::uint64_t) { at.values.push_back({part.name(), part.bits()}); });
    }
    /// After a resume; the pipeline is reset next.
    void begin(feedback_position const& at) {
        std::string saved, ours;
        for (auto const& v : at.values) saved += ' ' + v.control;
        numbered([&](auto& part, std::uint64_t) { ours += ' ' + part.name(); });
        if (saved != ours)
            throw state_error(message("fit: the checkpoint was saved with feedback of the controls '", saved.substr(!saved.empty()), "', this run has '", ours.substr(!ours.empty()),
                                      "'\n  HINT: give fit the parts that were saved, in their order; or start in an empty folder"));
        numbered([&](auto& part, std::uint64_t n) { part.begin_with(at.values[n - 1].bits); });
    }
    /// After a resume; the pipeline was loaded just now, to where it stood when the values were others.
    template <class Data>
    void go_on(Data& data, feedback_position const& at) {
        numbered([&](auto& part, std::uint64_t n) { part.adopt(data, at.values[n - 1].bits); });
    }
    template <class Info>
    void ask(Info const& info, feedback_position& at) {
        numbered([&](auto& part, std::uint64_t n) {
            if (auto const bits = part.propose(info)) at.waiting.push_back({n, *bits});
        });
    }
    /// What goes with the packet that is sent now.
    static proposal next(feedback_position& at) {
        at.sent.emplace();
        if (!at.waiting.empty()) {
            at.sent = at.waiting.front();
            at.waiting.pop_front();
        }
        return *at.sent;
    }
    /// A packet has arrived, and its step is to be done.
    template <class Data>
    void adopt(Data& data, proposal const& heard, feedback_position& at) {
        at.sent.reset();
        numbered([&](auto& part, std::uint64_t n) {
            if (n == heard.part) part.adopt(data, heard.bits);
        });
    }

private:
    template <class G>
    void numbered(G g) {
        std::uint64_t n = 0;
        each_([&](auto& part) {
            if constexpr (is_feedback<std::remove_cvref_t<decltype(part)>>) g(part, ++n);
        });
    }
    Each each_;
};

/// A part of fit: after every step rank 0 calls f(step_info), and a value it returns is set on every rank: what is returned after step k holds
/// from the first batch of step k + 3 on, and from the next epoch on if that begins before. Several values of one step go out one per step, in order.
/// The step_info is that of rank 0: agree on anything else before (ctx.all_reduce in an on_step part is a collective of all ranks).
///
/// Order    that of the steps; see core/control.hpp for what stages have read ahead
/// Buffers  nothing
/// Resume   exact: values in force and on their way are in the checkpoint, also for another number of ranks
/// Threads  none
/// Errors   forwards those of f; config_error if no stage of the chain reads the control; state_error on a resume with other controls
///
///     feedback(level, [](auto const& info) { return info.step == 100 ? std::optional(2) : std::nullopt; })
template <class T, class F>
auto feedback(control<T> c, F f) {
    return feedback_part<T, F>(std::move(c), std::move(f));
}

}  // namespace penstock::train
