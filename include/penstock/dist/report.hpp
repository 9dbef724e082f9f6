// Implements: how a rank's failure is told: on stderr, in torchrun's error file, and by the exit code.
#pragma once

#include <penstock/core/errors.hpp>         // defines: message
#include <penstock/dist/beats.hpp>          // defines: peer_error
#include <penstock/dist/launch.hpp>         // defines: launch
#include <penstock/dist/process_group.hpp>  // defines: plain_what

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>

namespace penstock::dist {

// A run that finished ends with 0; one that a signal stopped, its work saved, with 128 + signal: 143 for SIGTERM, 130 for SIGINT, 129 for SIGHUP.
inline constexpr int exit_own = 1;   ///< this rank failed
inline constexpr int exit_peer = 3;  ///< another rank failed

/// Did a collective operation throw this because of a peer? c10d has no common type for it: Gloo's errors name its sources or the connection.
inline bool is_peer_failure(std::exception const& e) {
    if (dynamic_cast<peer_error const*>(&e) || dynamic_cast<c10::DistError const*>(&e)) return true;
    std::string_view const text = e.what();
    for (auto sign : {"gloo/", "Connection closed by peer", "Connection reset by peer", "Application timeout caused pair closure"})
        if (text.find(sign) != text.npos) return true;
    return false;
}
inline bool is_timeout(std::string_view text) {
    return text.find("imed out") != text.npos || text.find("imeout") != text.npos || text.find("no answer within") != text.npos;
}

/// Writes torchrun's error file, if it asks for one: its agent prints `py_callstack` as the cause of the failed run.
inline void write_error_file(std::string const& text) noexcept {
    char const* path = std::getenv("TORCHELASTIC_ERROR_FILE");
    if (!path || !*path) return;
    std::string quoted;
    for (char const c : text) {
        if (c == '"' || c == '\\') (quoted += '\\') += c;
        else if (c == '\n') quoted += "\\n";
        else if (static_cast<unsigned char>(c) < 0x20) quoted += ' ';
        else quoted += c;
    }
    std::ofstream(path) << "{\"message\":{\"message\":\"" << quoted << "\",\"extraInfo\":{\"py_callstack\":\"" << quoted << "\",\"timestamp\":\"" << std::time(nullptr) << "\"}}}\n";
}

/// One write, so that the lines of several ranks on one terminal do not mix.
inline void print_failure(launch const& where, bool alone, char const* kind, std::string const& text) noexcept {
    auto const line = alone ? message("penstock: ", text, '\n') : message("[rank ", where.rank, "] ", kind, ": ", text, '\n');
    std::fflush(stdout);
    std::fwrite(line.data(), 1, line.size(), stderr);
    std::fflush(stderr);
    write_error_file(text);
}

/// Ends the process without destructors: Gloo's would wait for its queue, which nobody will ever empty.
[[noreturn]] inline void leave_now(int code) noexcept {
    std::cout.flush();
    std::fflush(nullptr);
    std::_Exit(code);
}

}  // namespace penstock::dist
