#include <penstock/train/pace.hpp>
#include <penstock/train/progress.hpp>
#include <penstock/train/signals.hpp>
#include <penstock/train/summary.hpp>

#include "files.hpp"

#include <chrono>
#include <cmath>
#include <csignal>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <support/catch.hpp>

namespace train = penstock::train;

namespace {

train::progress_view const here{.epoch = 2, .epochs = 10, .step = 120, .steps = 468, .loss = 0.43121, .samples_per_s = 12345.4, .seconds_left = 83, .waiting = 0.031};

class pipe_reader {
public:
    pipe_reader() { if (::pipe(ends_) != 0) throw std::runtime_error("pipe"); }
    ~pipe_reader() {
        ::close(ends_[0]);
        if (ends_[1] >= 0) ::close(ends_[1]);
    }
    int end() const { return ends_[1]; }
    int reader() const { return ends_[0]; }
    void close_reader() {
        ::close(ends_[0]);
        ends_[0] = -1;
    }
    std::string all() {
        ::close(ends_[1]);
        ends_[1] = -1;
        std::string out;
        char block[4096];
        for (ssize_t n; (n = ::read(ends_[0], block, sizeof block)) > 0;) out.append(block, static_cast<std::size_t>(n));
        return out;
    }

private:
    int ends_[2];
};

}  // namespace

TEST_CASE("progress: numbers in words", "[unit][progress]") {
    CHECK(train::grouped(0) == "0");
    CHECK(train::grouped(999) == "999");
    CHECK(train::grouped(1234567) == "1,234,567");
    CHECK(train::duration(0) == "0:00");
    CHECK(train::duration(83.4) == "1:23");
    CHECK(train::duration(3600) == "1:00:00");
    CHECK(train::duration(200'000) == "2d 07:33");
    CHECK(train::duration(std::nan("")) == "--:--");
    CHECK(train::duration(-1) == "--:--");
    CHECK(train::rate(9.44) == "9.4");
    CHECK(train::rate(9403) == "9,403");
    CHECK(train::rate(INFINITY) == "-");
}

TEST_CASE("progress: the plain line", "[unit][progress]") {
    CHECK(train::plain_line(here) == "epoch 2/10  step 120/468  loss 0.4312  12,345 samples/s  1:23 left  data wait 3 %");
    CHECK(train::plain_line({.epoch = 1, .step = 5}) == "epoch 1  step 5  loss -  0.0 samples/s  --:-- left  data wait 0 %");
}

TEST_CASE("progress: the bar fits into any width", "[unit][progress]") {
    CHECK(train::bar_line(here, 120) == "epoch 2/10  [#######.......................]  step 120/468  loss 0.4312  12,345 samples/s  1:23 left  data wait 3 %");
    CHECK(train::bar_line(here, 40) == "epoch 2/10  step 120/468  loss 0.4312");
    CHECK(train::bar_line(here, 6) == "epoch");
    for (int width = 0; width < 200; ++width) CHECK(train::bar_line(here, width).size() <= static_cast<std::size_t>((std::max)(0, width - 1)));
    auto done = here;
    done.step = 9999;  // more steps than were announced
    CHECK(train::bar_line(done, 160).find("[##############################]") != std::string::npos);
    CHECK(train::bar_line({}, 160).find('[') == std::string::npos);
}

TEST_CASE("progress: plain lines every few seconds, the last state at the end", "[unit][progress]") {
    pipe_reader pipe;
    {
        train::progress p({.every_s = 5, .fd = pipe.end()});
        for (int s = 0; s <= 12; ++s) {
            auto v = here;
            v.step = static_cast<std::uint64_t>(s);
            p.update(v, 100.0 + s);
        }
        p.note("saved");
        auto v = here;
        v.step = 13;
        v.loss = 0.125;
        p.finish(v);
    }
    auto const text = pipe.all();
    CHECK(std::count(text.begin(), text.end(), '\n') == 5);
    CHECK(text.find('\r') == std::string::npos);
    for (auto const* part : {"step 0/468", "step 5/468", "step 10/468", "saved\n", "step 13/468  loss 0.125"}) CHECK(test::has(text, part));
}

TEST_CASE("progress: on a terminal one line is drawn over and cleared on errors", "[unit][progress]") {
    pipe_reader pipe;
    try {
        train::progress p({.redraw_s = 0.1, .fd = pipe.end(), .terminal = true, .width = 50});
        p.update(here, 1.0);
        p.update(here, 1.05);  // too early
        p.update(here, 1.2);
        p.note("note");
        throw std::runtime_error("x");
    } catch (std::runtime_error const&) {}
    auto const line = train::bar_line(here, 50);
    CHECK(pipe.all() == "\r" + line + "\x1b[K" + "\r" + line + "\x1b[K" + "\r\x1b[Knote\n" + line + "\r\x1b[K");
}

TEST_CASE("progress: a reader that went away does not end the run", "[unit][progress]") {
    pipe_reader pipe;
    pipe.close_reader();
    train::progress p({.fd = pipe.end()});
    p.update(here, 1.0);
    p.note("still here");
    p.finish(here);
    SUCCEED();
}

TEST_CASE("progress: a reader that pauses holds nobody up and misses no line; what is too much is counted", "[unit][progress]") {
    pipe_reader pipe;
    ::fcntl(pipe.end(), F_SETPIPE_SZ, 4096);
    std::string expected;
    {
        train::progress p({.every_s = 0, .fd = pipe.end()});
        auto const begun = std::chrono::steady_clock::now();
        for (int i = 0; i != 1000; ++i) {
            p.note("line " + std::to_string(i));
            expected += "line " + std::to_string(i) + "\n";
            p.update(here, i);
        }
        CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(5));
        std::string got;
        char block[4096];
        while (got.find("line 999\n") == std::string::npos) {  // reads again
            auto const n = ::read(pipe.reader(), block, sizeof block);
            REQUIRE(n > 0);
            got.append(block, static_cast<std::size_t>(n));
            p.note("x");
        }
        std::string lines;
        for (std::size_t at = 0, end = 0; (end = got.find('\n', at)) != std::string::npos; at = end + 1)
            if (got.compare(at, 5, "line ") == 0) lines += got.substr(at, end + 1 - at);
        CHECK(lines == expected);
        for (int i = 0; i != 200; ++i) p.note(std::string(1000, 'y'));
        (void)::read(pipe.reader(), block, sizeof block);
        std::string rest;
        for (int i = 0; i != 100 && !test::has(rest, "lines were left out while nobody read)"); ++i) {
            p.note("z");
            auto const n = ::read(pipe.reader(), block, sizeof block);
            rest.append(block, static_cast<std::size_t>(n));
        }
        CHECK(test::has(rest, "lines were left out while nobody read)"));
    }
}

TEST_CASE("pace: speed of the last seconds, time left without what was before", "[unit][progress]") {
    train::pace p(10);
    CHECK(p.samples_per_s() == 0);
    CHECK(std::isnan(p.seconds_left(5)));
    p.see(1000, 64'000, 50.0);  // resumed at step 1000
    CHECK(std::isnan(p.seconds_left(5)));
    p.see(1010, 64'640, 51.0);
    CHECK(p.samples_per_s() == Approx(640));
    CHECK(p.seconds_left(100) == Approx(10));
    for (int s = 2; s <= 40; ++s) p.see(1010 + static_cast<std::uint64_t>(s) * 20, 64'640 + static_cast<std::uint64_t>(s) * 1280, 50.0 + s);
    CHECK(p.samples_per_s() == Approx(1280));
    p.see(1810, 64'640 + 41 * 1280, 90.01);
    CHECK(p.samples_per_s() > 1280);
}

TEST_CASE("progress: what a run went on without is said, where there is any", "[unit][progress]") {
    auto v = here;
    CHECK(train::plain_line(v).find("skipped") == std::string::npos);
    CHECK(train::plain_line(v).find("left out") == std::string::npos);
    v.skipped = 1;
    v.left_out = 1200;
    CHECK(test::has(train::plain_line(v), "  1 step skipped  1,200 samples left out"));
    v.weightless = 2;
    v.left_out_parts = 1;
    auto const all = "  1 step skipped  2 steps without weight  1,200 samples left out  1 part of shards left out";
    CHECK(test::has(train::plain_line(v), all));
    CHECK(test::has(train::bar_line(v, 200), all));
    CHECK(test::has(train::summary_table({.samples = 10, .left_out = 2}), "  left out  2 samples\n"));
    CHECK(test::has(train::summary_table({.steps = 9, .skipped_steps = 1, .weightless_steps = 2, .left_out = 2, .left_out_parts = 3}), "  steps     9 (1 skipped, 2 without weight)\n"));
    CHECK(test::has(train::summary_table({.weightless_steps = 2, .left_out_parts = 3}), "  left out  3 parts of shards\n"));
}

TEST_CASE("summary: the table", "[unit][progress]") {
    train::tracked_metric loss{.name = "loss", .direction = train::best::lowest}, accuracy{.name = "val/accuracy", .direction = train::best::highest}, unsaid{.name = "unsaid"};
    CHECK_FALSE(unsaid.see(0.9, 5));  // nobody guesses
    CHECK(std::isnan(unsaid.best));
    CHECK(unsaid.last == 0.9);
    CHECK(loss.see(0.5, 10));
    CHECK(loss.see(0.25, 20));
    CHECK_FALSE(loss.see(std::nan(""), 30));
    CHECK_FALSE(loss.see(0.3, 40));
    CHECK(accuracy.see(0.9, 4210));
    CHECK_FALSE(accuracy.see(0.89, 5000));
    auto const text = train::summary_table({.epochs = 10, .steps = 4690, .skipped_steps = 2, .samples = 600'000, .seconds = 94, .data_s = 3, .compute_s = 80, .comm_s = 6, .save_s = 1, .validate_s = 2,
                                            .metrics = {loss, accuracy}});
    CHECK(text ==
          "  epochs        10\n"
          "  steps         4,690 (2 skipped)\n"
          "  samples       600,000 (6,383 per second)\n"
          "  time          1:34\n"
          "                compute       80.0 s   85.1 %\n"
          "                data wait      3.0 s    3.2 %\n"
          "                other ranks    6.0 s    6.4 %\n"
          "                validation     2.0 s    2.1 %\n"
          "                saving         1.0 s    1.1 %\n"
          "                other          2.0 s    2.1 %\n"
          "  metric        last        best        at step\n"
          "  loss          0.3         0.25        20\n"
          "  val/accuracy  0.89        0.9         4,210\n");
    CHECK(train::summary_table({}).find("time      0:00") != std::string::npos);
}

TEST_CASE("time_split: phases never overlap", "[unit][progress]") {
    train::time_split split;
    auto const begin = std::chrono::steady_clock::now();
    {
        auto outer = split.time(train::phase::compute);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        {
            auto inner = split.time(train::phase::data);
            std::this_thread::sleep_for(std::chrono::milliseconds(30));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    std::chrono::duration<double> const whole = std::chrono::steady_clock::now() - begin;
    CHECK(split.seconds(train::phase::data) >= 0.030);
    CHECK(split.seconds(train::phase::compute) >= 0.030);
    CHECK(split.seconds(train::phase::data) + split.seconds(train::phase::compute) <= whole.count() + 1e-6);
    CHECK(split.seconds(train::phase::save) == 0);
}

TEST_CASE("signals: SIGHUP stops like SIGTERM; what is ignored stays ignored", "[unit][signals]") {
    {
        train::stop_signals signals;
        ::raise(SIGHUP);
        CHECK(signals.received() == SIGHUP);
    }
    auto const before = ::signal(SIGHUP, SIG_IGN);  // nohup
    {
        train::stop_signals signals;
        ::raise(SIGHUP);
        CHECK(signals.received() == 0);
    }
    CHECK(::signal(SIGHUP, before) == SIG_IGN);
}

TEST_CASE("signals: become a number, and former handlers come back", "[unit][signals]") {
    static int former = 0;
    auto const before = ::signal(SIGUSR1, [](int) { ++former; });
    {
        train::stop_signals signals;
        CHECK(signals.received() == 0);
        ::raise(SIGTERM);
        CHECK(signals.received() == SIGTERM);
        ::raise(SIGUSR1);
        CHECK(signals.received() == SIGTERM);  // a wish to save does not hide the order to stop
        signals.clear(SIGTERM);
        CHECK(signals.received() == 0);
        ::raise(SIGUSR1);
        CHECK(signals.received() == SIGUSR1);
        signals.clear(SIGTERM);  // seen before SIGUSR1 came
        CHECK(signals.received() == SIGUSR1);
        signals.clear(SIGUSR1);
        CHECK(signals.received() == 0);
        ::raise(SIGINT);
        CHECK(signals.received() == SIGINT);
        CHECK(test::has(test::error_of<penstock::config_error>([] { train::stop_signals second; }), "only one"));
        CHECK(former == 0);
    }
    ::raise(SIGUSR1);
    CHECK(former == 1);
    ::signal(SIGUSR1, before);
    train::stop_signals again;
    CHECK(again.received() == 0);
}

TEST_CASE("signals: a second SIGINT ends the process at once, but not the same one along another way", "[unit][signals]") {
    auto const begun = std::chrono::steady_clock::now();
    auto const pid = ::fork();
    if (pid == 0) {  // only calls that are safe after a fork
        train::stop_signals signals;
        ::raise(SIGINT);
        if (signals.received() != SIGINT) ::_exit(3);
        ::raise(SIGINT);  // the same key press, along another way
        ::usleep(600'000);
        ::raise(SIGINT);
        ::_exit(4);
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGINT);
    CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(600));
}
