// Implements: progress, a bar on a terminal and a plain line every few seconds elsewhere.
#pragma once

#include <penstock/train/hold_signal.hpp>    // defines: detail::hold_signal
#include <penstock/train/progress_text.hpp>  // defines: progress_view, bar_line, plain_line

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace penstock::train {

struct progress_options {
    double every_s = 5.0;            ///< between plain lines
    double redraw_s = 0.1;           ///< between two drawings of the bar
    int fd = STDOUT_FILENO;          ///< where to print
    std::optional<bool> terminal{};  ///< a bar or lines; not set: a bar when `fd` is a terminal that knows more than TERM=dumb
    int width = 0;                   ///< columns; 0 asks the terminal at every drawing, so that it may be resized
};

/// Shows where a run is. Each drawing is one write, so nothing flickers; the destructor clears the bar, so an error starts on a clean line.
///
/// Order    that of the calls
/// Buffers  one line; up to 64 KiB of lines while the reader pauses, then lines are left out and counted
/// Resume   no state
/// Threads  none
/// Errors   none: a terminal or pipe that went away, or a full disk, turns it off and is told once on stderr; the run goes on
///
///     progress bar;
///     bar.update({.epoch = 2, .epochs = 10, .step = 120, .steps = 468, .loss = 0.43});
///     bar.note("saved run/step-0000000120");    // a line of its own, above the bar
class progress {
public:
    explicit progress(progress_options o = {}) : options_(o) {
        char const* term = std::getenv("TERM");
        bar_ = o.terminal.value_or(::isatty(o.fd) == 1 && term != nullptr && std::string_view(term) != "dumb");
    }
    progress(progress const&) = delete;
    ~progress() {
        clear();
        write_held(1000);
    }

    /// Draws when it is time; `now` is any clock in seconds.
    void update(progress_view const& v, double now = seconds()) {
        view_ = v;
        if (drawn_ && now - *drawn_ < (bar_ ? options_.redraw_s : options_.every_s)) return;
        drawn_ = now;
        draw();
    }

    /// Prints a line of its own and draws the bar again below it.
    void note(std::string_view line) {
        put((shown_ ? "\r\x1b[K" : "") + std::string(line) + "\n" + (shown_ ? bar_line(view_, width()) : ""));
    }

    /// Prints the last state as a line that stays, when something was shown before.
    void finish(progress_view const& v) {
        view_ = v;
        if (!drawn_) return;
        clear();
        put(plain_line(view_) + "\n");
        drawn_.reset();
    }

    static double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

private:
    void draw() {
        if (!bar_) return put(plain_line(view_) + "\n", false);
        put("\r" + bar_line(view_, width()) + "\x1b[K", false);  // clears what a longer line left behind
        shown_ = true;
    }
    void clear() {
        if (shown_) put("\r\x1b[K");
        shown_ = false;
    }
    [[nodiscard]] int width() const {
        if (options_.width > 0) return options_.width;
        winsize size{};
        return ::ioctl(options_.fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    }
    /// Once, to those who read the other stream.
    void tell(int code) {
        broken_ = true;
        detail::hold_signal quiet(SIGPIPE);
        std::fprintf(stderr, "penstock: progress is no longer shown: %s; the run goes on\n", std::strerror(code));
    }
    /// A reader that pauses (`| less`, Ctrl-S) must not hold up the training: lines wait for it, drawings are left out.
    void put(std::string_view text, bool is_line = true) {
        write_held();
        if (broken_ || (!is_line && !held_.empty())) return;
        if (held_.size() + text.size() > most_held) {
            ++left_out_;
            return;
        }
        held_ += text;
        write_held();
    }
    void write_held(int patience_ms = 0) {
        detail::hold_signal quiet(SIGPIPE);
        while (!held_.empty() && !broken_) {
            pollfd out{options_.fd, POLLOUT, 0};
            auto const ready = ::poll(&out, 1, patience_ms);
            if (ready == 0) return;
            auto const done = ready < 0 ? -1 : ::write(options_.fd, held_.data(), (std::min)(held_.size(), std::size_t{PIPE_BUF}));  // so much does not block now
            if (done < 0 && errno == EINTR) continue;
            if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
            if (done <= 0) tell(done < 0 ? errno : EIO);
            else held_.erase(0, static_cast<std::size_t>(done));
            if (held_.empty() && left_out_ != 0) held_ = "(" + std::to_string(std::exchange(left_out_, 0)) + " lines were left out while nobody read)\n";
        }
    }

    static constexpr std::size_t most_held = 64 * 1024;
    progress_options options_;
    progress_view view_{};
    std::optional<double> drawn_{};
    std::string held_{};          // not written yet
    std::size_t left_out_ = 0;
    bool bar_ = false, shown_ = false, broken_ = false;
};

}  // namespace penstock::train
