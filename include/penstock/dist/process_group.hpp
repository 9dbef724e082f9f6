// Implements: stores and process groups of c10d. The only header that includes ProcessGroupGloo.hpp (it defines statics per translation unit).
#pragma once

#include <penstock/core/errors.hpp>   // defines: config_error, message
#include <penstock/dist/launch.hpp>   // defines: launch, is_loopback

#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

namespace penstock::dist {

using store_ptr = c10::intrusive_ptr<c10d::Store>;        // always the base: HashStore hides set(string, string)
using group_ptr = c10::intrusive_ptr<c10d::ProcessGroup>;
using std::chrono::milliseconds;

namespace detail {

/// c10's errors carry a stack trace of many lines; a user wants the first sentence.
inline std::string plain_what(std::exception const& e) {
    auto const* c10_error = dynamic_cast<c10::Error const*>(&e);
    return c10_error ? c10_error->what_without_backtrace() : e.what();
}

/// The address this machine uses to talk to `host`: a connected UDP socket sends nothing, but knows its route. Empty when there is none.
inline std::string address_towards(std::string const& host, int port) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_DGRAM;
    if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return {};
    std::string out;
    for (auto* a = found; a && out.empty(); a = a->ai_next) {
        int const fd = ::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0) continue;
        sockaddr_storage mine{};
        socklen_t size = sizeof mine;
        char text[NI_MAXHOST];
        if (::connect(fd, a->ai_addr, a->ai_addrlen) == 0 && ::getsockname(fd, reinterpret_cast<sockaddr*>(&mine), &size) == 0 &&
            getnameinfo(reinterpret_cast<sockaddr*>(&mine), size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
            out = text;
        ::close(fd);
    }
    freeaddrinfo(found);
    return out;
}

}  // namespace detail

/// The store of a launched job: rank 0 serves it, unless the launcher's agent does already.
inline store_ptr open_store(launch const& l, milliseconds timeout) {
    c10d::TCPStoreOptions o;
    o.port = static_cast<std::uint16_t>(l.port);
    o.isServer = l.rank == 0 && !l.agent_store;
    o.numWorkers = static_cast<std::size_t>(l.world);
    o.waitWorkers = false;
    o.timeout = timeout;
    try {
        return c10::make_intrusive<c10d::TCPStore>(l.host, o);
    } catch (std::exception const& e) {
        if (o.isServer)
            throw config_error(message("dist::init: rank 0 cannot serve the store on port ", l.port, ": ", detail::plain_what(e),
                                       "\n  HINT: another job may use this port; choose another MASTER_PORT for all ranks"));
        throw config_error(message("dist::init: no store answers at ", l.host, ":", l.port, " within ", timeout.count() / 1000, " s: ", detail::plain_what(e),
                                   "\n  HINT: is rank 0 running, and is MASTER_ADDR:MASTER_PORT reachable from here?"));
    }
}

/// Gloo over the loopback device when all ranks are on this machine, else over the interface that leads to the store's host;
/// GLOO_SOCKET_IFNAME overrides both. (Gloo's own choice, the host name's address, is loopback on many machines and hangs.)
inline c10::intrusive_ptr<c10d::ProcessGroupGloo::Options> gloo_options(launch const& l, milliseconds timeout) {
    using gloo = c10d::ProcessGroupGloo;
    if (std::getenv("GLOO_SOCKET_IFNAME")) return gloo::Options::create_default(timeout);
    auto o = gloo::Options::create(timeout);
    if (l.local_world == l.world) {
        o->devices = {gloo::createDeviceForHostname("127.0.0.1")};
        return o;
    }
    auto const mine = detail::address_towards(l.host, l.port);
    if (mine.empty() || is_loopback(mine))
        throw config_error(message("dist::init: the ranks on other machines must be able to reach this one, got address '", mine, "' on the way to ", l.host,
                                   "\n  HINT: set GLOO_SOCKET_IFNAME to the network interface to use"));
    o->devices = {gloo::createDeviceForHostname(mine)};
    return o;
}

/// One process group whose CPU backend is Gloo. Connecting may take `init` long; afterwards each operation has `step`.
inline group_ptr gloo_group(store_ptr const& store, launch const& l, milliseconds init, milliseconds step) {
    auto options = gloo_options(l, init);
    c10::intrusive_ptr<c10d::Backend> backend = c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::PrefixStore>("default_pg/gloo", store), l.rank, l.world, options);
    backend->setTimeout(step);
    auto group = c10::make_intrusive<c10d::ProcessGroup>(store, l.rank, l.world);
    group->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::GLOO, std::optional(backend));
    group->setDefaultBackend(c10d::ProcessGroup::GLOO);
    group->setGroupName("default_pg");
    return group;
}

}  // namespace penstock::dist
