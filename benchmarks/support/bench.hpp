// Implements: what every benchmark prints, and the rounds in which rivals take turns.
//
//   int main(int argc, char** argv) {
//       namespace bench = penstock::bench;
//       bench::report out("fit_over_hand", argc, argv);
//       auto rounds = bench::interleave({{"fit", [] { return bench::measure(run_fit).cpu_s; }},
//                                        {"hand", [] { return bench::measure(run_hand).cpu_s; }}});
//       out.add({.name = "fit_over_hand_1rank", .value = bench::ratio(rounds[0], rounds[1]), .unit = "x", .vs = "hand", .goal = bench::at_most(1.02)});
//       return out.finish();
//   }
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::bench {

/// What one run cost.
struct cost {
    double wall_s = 0;
    double cpu_s = 0;  ///< of all threads, and of the child processes that ended and were waited for
};

inline double cpu_seconds() {
    double all = 0;
    for (auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
        rusage u{};
        ::getrusage(who, &u);
        all += static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    }
    return all;
}

template <class F>
cost measure(F&& f) {
    auto cpu = cpu_seconds();
    auto wall = std::chrono::steady_clock::now();
    std::forward<F>(f)();
    return {std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count(), cpu_seconds() - cpu};
}

/// Keeps the optimiser from dropping what computes x.
template <class T>
void keep(T const& x) {
    asm volatile("" : : "r,m"(x) : "memory");
}

/// A median and the interval in which the true one lies with at least 95 % (order statistics: no distribution is assumed).
struct summary {
    double value = 0, low = 0, high = 0;
    std::size_t rounds = 1;

    summary() = default;
    summary(double exact) : value(exact), low(exact), high(exact) {}  // one figure is a summary of itself
    explicit summary(std::vector<double> v) : rounds(v.size()) {
        if (v.empty()) throw std::invalid_argument("summary: needs at least one round, got none");
        std::sort(v.begin(), v.end());
        auto n = v.size();
        value = n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
        // the k-th smallest and the k-th largest of n enclose the median but for 2 P(Binomial(n, 1/2) < k)
        std::size_t k = 0;
        double outside = 0;
        for (double p = std::pow(0.5, static_cast<double>(n)); k < n / 2 && 2 * (outside + p) <= 0.05; ++k) {
            outside += p;
            p *= static_cast<double>(n - k) / static_cast<double>(k + 1);
        }
        k = k == 0 ? 0 : k - 1;
        low = v[k];
        high = v[n - 1 - k];
    }

    /// The same in another unit; factor > 0.
    friend summary operator*(summary s, double factor) {
        s.value *= factor;
        s.low *= factor;
        s.high *= factor;
        return s;
    }
};

struct candidate {
    std::string name;
    std::function<double()> run;  ///< one round; returns the figure to compare
};

/// Runs all candidates in turn, `rounds` times, after one round that is not counted; every round begins with another one,
/// so that none always runs on the machine the one before it left behind. Returns [candidate][round].
inline std::vector<std::vector<double>> interleave(std::vector<candidate> const& all, int rounds = 11, int unmeasured = 1) {
    if (auto const* text = std::getenv("PENSTOCK_BENCH_ROUNDS")) rounds = (std::max)(1, std::atoi(text));
    std::vector<std::vector<double>> found(all.size());
    for (int r = -unmeasured; r < rounds; ++r)
        for (std::size_t i = 0; i < all.size(); ++i) {
            auto at = (i + static_cast<std::size_t>(r + unmeasured)) % all.size();
            auto x = all[at].run();
            if (r >= 0) found[at].push_back(x);
        }
    return found;
}

/// a / b round by round: what slows both in one round cancels.
inline summary ratio(std::vector<double> const& a, std::vector<double> const& b) {
    std::vector<double> r;
    std::transform(a.begin(), a.end(), b.begin(), std::back_inserter(r), [](double x, double y) { return x / y; });
    return summary(std::move(r));
}

struct goal {
    std::string_view op;  ///< "<=", ">=" or "in"
    double value;
    double high = 0;      ///< of "in": value <= x <= high
    bool met(double x) const { return op == "<=" ? x <= value : x >= value && (op != "in" || x <= high); }
};
inline goal at_most(double x) { return {"<=", x}; }
inline goal at_least(double x) { return {">=", x}; }
inline goal between(double low, double high) { return {"in", low, high}; }

struct row {
    std::string name{};
    std::optional<summary> value{};  ///< empty: it could not be measured, and `reason` says why
    std::string unit{};
    std::string vs{};  ///< what a ratio or a difference is taken against
    std::optional<bench::goal> goal{};
    std::string reason{};
};

/// Prints rows as they come: a table, or with --json one object per line on standard output.
class report {
public:
    report(std::string bench, int argc, char** argv) : bench_(std::move(bench)) {
        for (int i = 1; i < argc; ++i) {
            if (std::string_view(argv[i]) == "--json") json_ = true;
            else arguments_.emplace_back(argv[i]);
        }
        if (!json_) std::printf("%s\n  %-34s %12s %-12s %25s %7s  %s\n", bench_.c_str(), "row", "median", "unit", "low .. high", "rounds", "goal");
    }

    /// The command line without --json.
    std::vector<std::string> const& arguments() const { return arguments_; }

    void add(row r) {
        if (r.goal && !(r.value && r.goal->met(r.value->value))) ++missed_;
        json_ ? print_json(r) : print_line(r);
        std::fflush(stdout);
    }

    /// Returns main's result: 0, also when goals are missed; they are counted and named in the rows.
    int finish() const {
        if (missed_ != 0) std::fprintf(stderr, "%s: %d goal(s) missed\n", bench_.c_str(), missed_);
        return 0;
    }

private:
    static std::string quoted(std::string_view text) {
        std::string out = "\"";
        for (char c : text) {
            if (c == '"' || c == '\\') out += '\\';
            if (static_cast<unsigned char>(c) < 0x20) {
                char hex[8];
                std::snprintf(hex, sizeof hex, "\\u%04x", static_cast<unsigned>(c));
                out += hex;
            } else out += c;
        }
        return out + '"';
    }
    static std::string number(double x) {
        if (!std::isfinite(x)) return "null";  // JSON has no NaN
        char text[32];
        std::snprintf(text, sizeof text, "%.6g", x);
        return text;
    }

    void print_json(row const& r) const {
        std::string s = "{\"bench\": " + quoted(bench_) + ", \"row\": " + quoted(r.name);
        s += ", \"value\": " + (r.value ? number(r.value->value) : "null") + ", \"unit\": " + quoted(r.unit);
        s += ", \"low\": " + (r.value ? number(r.value->low) : "null") + ", \"high\": " + (r.value ? number(r.value->high) : "null");
        s += ", \"rounds\": " + std::to_string(r.value ? r.value->rounds : 0) + ", \"vs\": " + (r.vs.empty() ? "null" : quoted(r.vs));
        s += ", \"goal\": ";
        if (!r.goal) s += "null";
        else s += "{\"op\": " + quoted(r.goal->op) + ", \"value\": " + number(r.goal->value) + (r.goal->op == "in" ? ", \"high\": " + number(r.goal->high) : "") + "}";
        s += std::string(", \"ok\": ") + (!r.goal ? "null" : r.value && r.goal->met(r.value->value) ? "true" : "false");
        if (!r.reason.empty()) s += ", \"reason\": " + quoted(r.reason);
        std::printf("%s}\n", s.c_str());
    }

    void print_line(row const& r) const {
        if (!r.value) {
            std::printf("  %-34s %12s %-12s %25s %7s  %s\n", r.name.c_str(), "-", r.unit.c_str(), "", "", r.reason.c_str());
            return;
        }
        auto const& v = *r.value;
        auto range = v.rounds > 1 ? number(v.low) + " .. " + number(v.high) : "";
        std::string verdict;
        if (r.goal) {
            verdict.append(r.goal->op).append(" ").append(number(r.goal->value));
            if (r.goal->op == "in") verdict += ".." + number(r.goal->high);
            verdict += r.goal->met(v.value) ? "  met" : "  MISSED";
        }
        // a ratio whose interval holds 1 shows no difference
        if (!r.vs.empty()) verdict += (verdict.empty() ? "vs " : ", vs ") + r.vs + (r.unit == "x" && v.low <= 1 && 1 <= v.high && v.rounds > 1 ? " (equal)" : "");
        std::printf("  %-34s %12s %-12s %25s %7zu  %s\n", r.name.c_str(), number(v.value).c_str(), r.unit.c_str(), range.c_str(), v.rounds, verdict.c_str());
    }

    std::string bench_;
    std::vector<std::string> arguments_;
    bool json_ = false;
    int missed_ = 0;
};

}  // namespace penstock::bench
