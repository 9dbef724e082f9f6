// Implements: brace_pattern, the names that "data/train-{000..059}.tar" stands for, made one at a time.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// A parsed pattern: {000..059}, {a,b{1..2}}, {z..a..2}, \{ for a brace. The rules are those of the shell as Python's braceexpand
/// reads them. Keeps the pattern, not the names: a million names cost nothing until one is asked for.
class brace_pattern {
public:
    static constexpr std::uint64_t most = std::uint64_t{1} << 48;  ///< more names than this are a mistake in the pattern
    static constexpr int deepest = 64;                             ///< of nested braces

    /// Parses `text`; config_error when braces do not match.
    explicit brace_pattern(std::string_view text) : brace_pattern(text, text, 0) {}
    /// The pattern that stands for `text` itself, whatever is in it.
    static brace_pattern literal(std::string text) {
        brace_pattern p;
        p.parts_.push_back({.text = std::move(text)});
        return p;
    }

    std::uint64_t size() const { return size_; }

    /// Name i, i < size(), in the order in which the shell would print them.
    std::string operator[](std::uint64_t i) const {
        std::string out;
        append(out, i);
        return out;
    }
    /// The same behind what `out` holds: of many names only one at a time needs memory.
    void append(std::string& out, std::uint64_t i) const { append(out, i, size_); }

    /// Whether all names differ for sure: a single run of numbers, or several that keep their width.
    bool surely_distinct() const {
        std::size_t runs = 0;
        bool fixed = true;
        for (auto const& p : parts_) {
            if (!p.options.empty()) return false;
            if (p.size == 1) continue;
            ++runs;
            fixed = fixed && (p.letters || p.length(0) == p.length(p.size - 1));
        }
        return runs <= 1 || fixed;
    }

private:
    struct part {                            // text, or one of options, or first + k * step
        std::string text{};
        std::vector<brace_pattern> options{};
        std::uint64_t size = 1;
        std::int64_t first = 0, step = 0;    // step 0: no run
        std::size_t width = 0;
        bool letters = false;

        void spell(std::string& out, std::uint64_t k) const {
            auto const n = first + static_cast<std::int64_t>(k) * step;
            if (letters) return out.push_back(alphabet[static_cast<std::size_t>(n)]);
            char digits[20];
            auto const length = static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, n < 0 ? -n : n).ptr - digits);
            auto const sign = static_cast<std::size_t>(n < 0);
            out.append(sign, '-');
            if (length + sign < width) out.append(width - sign - length, '0');
            out.append(digits, length);
        }
        std::size_t length(std::uint64_t k) const {
            std::string out;
            spell(out, k);
            return out.size();
        }
    };
    static constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    brace_pattern() = default;
    brace_pattern(std::string_view text, std::string_view whole, int depth) {
        if (depth > deepest) refuse(whole, "braces are nested too deeply");
        std::size_t begin = 0, open = 0;
        int level = 0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '\\') ++i;
            else if (text[i] == '{' && level++ == 0) {
                add_text(text.substr(begin, i - begin));
                open = i;
            } else if (text[i] == '}') {
                if (--level < 0) refuse(whole, "a '}' has no '{' before it");
                if (level != 0) continue;
                add_braces(text.substr(open + 1, i - open - 1), whole, depth);
                begin = i + 1;
            }
        }
        if (level != 0) refuse(whole, "a '{' has no '}' after it");
        add_text(text.substr(begin));
        for (auto const& p : parts_) {
            if (p.size > most / size_) refuse(whole, "it stands for too many names");
            size_ *= p.size;
        }
    }

    [[noreturn]] static void refuse(std::string_view whole, std::string_view why) {
        throw config_error(message("shard_list(\"", whole, "\"): ", why, "\n  HINT: write \\{ and \\} for braces that belong to a name"));
    }

    void add_text(std::string_view text) {
        std::string plain;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '\\' && i + 1 < text.size()) ++i;
            plain += text[i];
        }
        if (!plain.empty()) parts_.push_back({.text = std::move(plain)});
    }

    void add_braces(std::string_view inside, std::string_view whole, int depth) {
        if (add_run(inside, whole)) return;
        part p;
        std::size_t begin = 0;
        int level = 0;
        for (std::size_t i = 0; i < inside.size(); ++i) {
            if (inside[i] == '\\') ++i;
            else if (inside[i] == '{') ++level;
            else if (inside[i] == '}') --level;
            else if (inside[i] == ',' && level == 0) {
                p.options.push_back(brace_pattern(inside.substr(begin, i - begin), whole, depth + 1));
                begin = i + 1;
            }
        }
        p.options.push_back(brace_pattern(inside.substr(begin), whole, depth + 1));
        bool const list = p.options.size() > 1;
        p.size = 0;
        for (auto const& o : p.options)
            if ((p.size += o.size_) > most) refuse(whole, "it stands for too many names");
        if (!list) parts_.push_back({.text = "{"});  // {a} is no list: the braces stay
        parts_.push_back(std::move(p));
        if (!list) parts_.push_back({.text = "}"});
    }

    // 1..3, 08..11, a..e, each with an optional ..step whose sign does not matter
    bool add_run(std::string_view inside, std::string_view whole) {
        auto const cut = inside.find("..");
        if (cut == inside.npos) return false;
        auto const first = inside.substr(0, cut);
        auto last = inside.substr(cut + 2);
        std::string_view step;
        if (auto const second = last.find(".."); second != last.npos) {
            step = last.substr(second + 2);
            last = last.substr(0, second);
            if (!is_number(step)) return false;
        }
        auto const place_of = [](std::string_view s) { return s.size() == 1 ? alphabet.find(s[0]) : alphabet.npos; };
        part p;
        std::int64_t from = 0, to = 0;
        if (is_number(first) && is_number(last)) {
            from = number(first, whole);
            to = number(last, whole);
            if (padded(first) || padded(last)) p.width = (std::max)(first.size(), last.size());
        } else if (place_of(first) != alphabet.npos && place_of(last) != alphabet.npos) {
            p.letters = true;
            from = static_cast<std::int64_t>(place_of(first));
            to = static_cast<std::int64_t>(place_of(last));
        } else return false;
        auto by = step.empty() ? 1 : number(step, whole);
        if (by < 0) by = -by;
        if (by == 0) by = 1;
        p.first = from;
        p.step = from <= to ? by : -by;
        p.size = static_cast<std::uint64_t>((from <= to ? to - from : from - to) / by) + 1;
        parts_.push_back(std::move(p));
        return true;
    }
    static bool is_number(std::string_view s) {
        if (s.starts_with('-')) s.remove_prefix(1);
        return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
    }
    static bool padded(std::string_view s) {
        if (s.starts_with('-')) s.remove_prefix(1);
        return s.size() > 1 && s[0] == '0';
    }
    static std::int64_t number(std::string_view s, std::string_view whole) {
        std::int64_t n = 0;
        auto const [end, why] = std::from_chars(s.data(), s.data() + s.size(), n);
        auto const limit = static_cast<std::int64_t>(most);
        if (why != std::errc{} || n > limit || n < -limit) refuse(whole, message("the number ", s, " is too large"));
        return n;
    }

    void append(std::string& out, std::uint64_t i, std::uint64_t names) const {  // the last part turns fastest
        for (auto const& p : parts_) {
            names /= p.size;
            auto k = i / names % p.size;
            if (p.step != 0) p.spell(out, k);
            else if (p.options.empty()) out += p.text;
            else {
                auto o = p.options.begin();
                for (; k >= o->size_; ++o) k -= o->size_;
                o->append(out, k, o->size_);
            }
        }
    }

    std::vector<part> parts_;
    std::uint64_t size_ = 1;
};

}  // namespace penstock
