// Implements: progress, a bar on a terminal and a plain line every few seconds elsewhere.
#pragma once

#include <penstock/train/hold_signal.hpp>    // defines: detail::hold_signal
#include <penstock/train/progress_text.hpp>  // defines: progress_view, bar_line, plain_line

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

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
/// Buffers  one line
/// Resume   no state
/// Threads  none
/// Errors   none: a terminal that went away turns it off, the run goes on
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
    ~progress() { clear(); }

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
        if (!bar_) return put(plain_line(view_) + "\n");
        put("\r" + bar_line(view_, width()) + "\x1b[K");  // clears what a longer line left behind
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
    void put(std::string_view text) {
        detail::hold_signal quiet(SIGPIPE);
        while (!text.empty() && !broken_) {
            auto const done = ::write(options_.fd, text.data(), text.size());
            if (done < 0 && errno == EINTR) continue;
            if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;  // a terminal that is held: skip this drawing
            if (done <= 0) broken_ = true;
            else text.remove_prefix(static_cast<std::size_t>(done));
        }
    }

    progress_options options_;
    progress_view view_{};
    std::optional<double> drawn_{};
    bool bar_ = false, shown_ = false, broken_ = false;
};

}  // namespace penstock::train
