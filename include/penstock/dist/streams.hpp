// Implements: keep_streams, after which nothing that happens to the standard streams ends the process. POSIX only.
#pragma once

#include <cerrno>
#include <csignal>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

namespace penstock::dist {

/// A training run does not end because nobody reads what it prints: a write into a pipe whose reader left fails, and does not kill. A stream that was
/// closed before we began (`>&-`) leads to /dev/null: else the next socket or checkpoint would get its number, and all that is printed.
inline void keep_streams() {
    for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
        if (::open("/dev/null", O_RDWR) != fd) continue;  // the lowest free number: it is `fd`, since those below are open
        if (fd == STDOUT_FILENO) std::fputs("penstock: standard output is closed: nothing is shown there\n", stderr);
    }
    struct sigaction now {};
    ::sigaction(SIGPIPE, nullptr, &now);
    if ((now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL) ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace penstock::dist
