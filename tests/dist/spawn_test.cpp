#include <penstock/dist/spawn.hpp>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include <signal.h>
#include <unistd.h>

#include <support/catch.hpp>

namespace dist = penstock::dist;
using namespace std::chrono_literals;

namespace {

int rank() {
    char const* r = std::getenv("RANK");
    return r ? std::atoi(r) : -1;
}

struct ended {
    dist::spawn_outcome out;
    std::vector<int> named;
    double seconds;
};

/// Starts this test program as ranks that run one of the hidden cases below.
ended spawn(int nproc, std::string const& hidden_case) {
    ended e{};
    dist::spawn_options o{.nproc = nproc, .args = {"dist_plain_test", hidden_case}};
    o.leave = 300ms;
    o.term = 300ms;
    o.on_death = [&](int r, std::string const&) { e.named.push_back(r); };
    auto const begun = std::chrono::steady_clock::now();
    {
        dist::rank_parent parent;
        e.out = parent.run(o);
    }
    e.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    return e;
}

}  // namespace

TEST_CASE("rank: ends well", "[.rank_ok]") {
    if (rank() < 0) return;
    bool const right = std::string(std::getenv("WORLD_SIZE")) == "3" && std::string(std::getenv("PENSTOCK_PARENT")) == std::to_string(::getppid());
    std::_Exit(right ? 0 : 9);
}
TEST_CASE("rank: one fails, the others wait for ever and ignore SIGTERM", "[.rank_fails]") {
    if (rank() < 0) return;
    if (rank() == 1) std::_Exit(5);
    ::signal(SIGTERM, SIG_IGN);
    while (true) ::pause();
}
TEST_CASE("rank: one is killed, one is stopped", "[.rank_stopped]") {
    if (rank() < 0) return;
    dist::die_with_parent();
    ::raise(rank() == 0 ? SIGKILL : SIGSTOP);
    while (true) ::pause();
}

TEST_CASE("rank: stopped by a signal in good order", "[.rank_asked]") {
    if (rank() < 0) return;
    std::_Exit(128 + SIGTERM);
}
TEST_CASE("rank: stopped by a signal, but for one that fails", "[.rank_asked_fails]") {
    if (rank() < 0) return;
    std::_Exit(rank() == 1 ? 5 : 128 + SIGHUP);
}

TEST_CASE("spawn: ranks get their variables, and all end well", "[unit][dist]") {
    auto const e = spawn(3, "[.rank_ok]");
    CHECK(e.out.code == 0);
    CHECK(e.out.rank == -1);
    CHECK(e.named.empty());
}

TEST_CASE("spawn: a run that a signal stopped is no failure, and no finished run", "[unit][dist]") {
    auto const asked = spawn(3, "[.rank_asked]");
    CHECK(asked.out.code == 143);
    CHECK(asked.out.rank == -1);
    CHECK(asked.named.empty());
    auto const failed = spawn(3, "[.rank_asked_fails]");
    CHECK(failed.out.code == 5);
    CHECK(failed.named == std::vector<int>{1});
}

TEST_CASE("spawn: the first failure is named and ends the others, whatever they ignore", "[unit][dist]") {
    auto const e = spawn(3, "[.rank_fails]");
    CHECK(e.out.code == 5);
    CHECK(e.out.rank == 1);
    CHECK(e.out.how == "ended with exit code 5");
    CHECK(e.named == std::vector<int>{1});
    CHECK(e.seconds < 10);
}

TEST_CASE("spawn: a stopped rank is ended too", "[unit][dist]") {
    auto const e = spawn(2, "[.rank_stopped]");
    CHECK(e.out.code == 128 + 9);
    CHECK(e.out.rank == 0);
    CHECK(e.out.how == "was killed by signal 9 (SIGKILL)");
    CHECK(e.seconds < 10);
}

TEST_CASE("spawn: the signal mask comes back", "[unit][dist]") {
    sigset_t before, after;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
    (void)spawn(1, "[.rank_none]");
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    CHECK(::sigismember(&before, SIGTERM) == ::sigismember(&after, SIGTERM));
    CHECK(::sigismember(&before, SIGCHLD) == ::sigismember(&after, SIGCHLD));
}
