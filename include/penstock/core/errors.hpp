// Implements: the errors every room throws, and message(...), which builds their text.
#pragma once

#include <penstock/core/cover.hpp>  // defines: cover

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iosfwd>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace penstock {

namespace detail {

/// Appends what a stream would print. Without <sstream>, which costs a tenth of a second in every file that includes any of our headers.
inline void append_text(std::string& out, std::string_view text) { out += text; }
inline void append_text(std::string& out, char c) { out += c; }
inline void append_text(std::string& out, std::signed_integral auto n) { out += std::to_string(static_cast<long long>(n)); }
inline void append_text(std::string& out, std::unsigned_integral auto n) { out += std::to_string(static_cast<unsigned long long>(n)); }
inline void append_text(std::string& out, std::floating_point auto x) {
    char digits[32];
    out.append(digits, static_cast<std::size_t>(std::snprintf(digits, sizeof digits, "%g", static_cast<double>(x))));
}
/// Of other types what a stream prints, whose header the user of such a type has included.
template <class T, class Stream = std::ostringstream>
    requires(!std::is_arithmetic_v<T> && !std::is_convertible_v<T const&, std::string_view>)
void append_text(std::string& out, T const& x) {
    Stream s;
    s << x;
    out += s.str();
}

}  // namespace detail

/// Joins texts, characters and numbers as a stream would print them: message("got ", 4, ", world ", 4).
template <class... A>
[[gnu::cold, gnu::noinline]] std::string message(A const&... parts) {
    std::string out;
    (detail::append_text(out, parts), ...);
    return out;
}

/// "1 byte", "2 bytes", for messages.
inline std::string number_of(std::uint64_t n, std::string_view one) { return message(n, ' ', one, n == 1 ? "" : "s"); }

/// Base of every error of the library. The text reads `what: rule, got <value>` and, on its own line, `  HINT: <what to do>`.
struct error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A wrong argument or an impossible combination, thrown while a pipeline is built, before anything is opened.
struct config_error : error {
    using error::error;
};

/// A saved state that does not belong to this pipeline or this data; the text names the first difference.
struct state_error : error {
    using error::error;
};

/// Where in the data something went wrong; what is not known stays empty.
struct place {
    std::string shard{};                      ///< path or address of the shard
    std::string key{};                        ///< key of the sample
    std::optional<std::uint64_t> byte{};      ///< offset in the shard
    std::optional<std::uint64_t> sample{};    ///< id of the sample, see keyed<T>
};

/// What kind of failure a stage met.
enum class fault {
    content,  ///< damaged format, wrong checksum, undecodable bytes
    io,       ///< the operating system or the network refused
    user,     ///< the user's own function threw
};

/// A failure while items flow. It consumes its item, comes in order, and leaves the pipeline usable.
struct stage_error : error {
    stage_error(std::string_view stage_name, fault kind_of, place at, std::string_view because, std::string_view way_out = {})
        : error(text(stage_name, at, because, way_out)), stage(stage_name), kind(kind_of), where(std::move(at)), cause(because), hint(way_out) {}

    std::string stage;
    fault kind;
    place where;
    std::string cause;  ///< what happened, without stage and place
    std::string hint;   ///< what to do; may be empty
    std::uint64_t lost = 1;  ///< how many samples are lost with it; 0: none, or of a shard the rest, however many that is
    cover positions{};  ///< line positions of the item that is lost with this error; empty where the stage that threw keeps them itself

private:
    static std::string text(std::string_view stage, place const& at, std::string_view cause, std::string_view hint) {
        auto out = std::string(stage);
        if (!at.shard.empty()) out += ": " + at.shard;
        if (!at.key.empty()) out += ", sample '" + at.key + "'";
        if (at.sample) out += message(" (id ", *at.sample, ")");
        if (at.byte) out += message(", byte ", *at.byte);
        out += message(": ", cause);
        if (!hint.empty()) out += message("\n  HINT: ", hint);
        return out;
    }
};

}  // namespace penstock
