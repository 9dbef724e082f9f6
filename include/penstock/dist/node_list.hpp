// Implements: SLURM's way of writing many hosts and tasks in one variable.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace penstock::dist {

/// All hosts of a SLURM node list: "gpu[01-03,7],login" is gpu01 gpu02 gpu03 gpu7 login. Numbers keep their leading zeros.
inline std::vector<std::string> expand_nodes(std::string_view list) {
    auto broken = [&](char const* rule) {
        return config_error(message("launch (SLURM): ", rule, ", got node list '", list, "'\n  HINT: set MASTER_ADDR to the host of rank 0"));
    };
    auto number = [&](std::string_view text) {
        std::uint64_t n = 0;
        auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
        if (ec != std::errc{} || end != text.data() + text.size()) throw broken("brackets hold numbers and ranges a-b");
        return n;
    };
    std::vector<std::string> out, heads{""};  // heads: what the name being read has become so far; each bracket multiplies them
    auto flush = [&] {
        for (auto& h : heads)
            if (!h.empty()) out.push_back(std::move(h));
        heads.assign(1, "");
    };
    for (std::size_t i = 0; i < list.size(); ++i) {
        if (list[i] == ',') {
            flush();
            continue;
        }
        if (list[i] != '[') {
            for (auto& h : heads) h += list[i];
            continue;
        }
        auto const close = list.find(']', i);
        if (close == list.npos) throw broken("a '[' must be closed");
        std::vector<std::string> grown;
        for (auto rest = list.substr(i + 1, close - i - 1); !rest.empty();) {
            auto const comma = rest.find(',');
            auto const item = rest.substr(0, comma);
            rest = comma == rest.npos ? std::string_view{} : rest.substr(comma + 1);
            auto const dash = item.find('-');
            auto const first = item.substr(0, dash);
            auto const from = number(first), to = dash == item.npos ? from : number(item.substr(dash + 1));
            if (to < from || (to - from + 1) * heads.size() + grown.size() > 1'000'000) throw broken("ranges count upwards, to 1,000,000 hosts at most");
            for (auto n = from; n <= to; ++n) {
                auto digits = std::to_string(n);
                if (digits.size() < first.size()) digits.insert(0, first.size() - digits.size(), '0');
                for (auto const& h : heads) grown.push_back(h + digits);
            }
        }
        if (grown.empty()) throw broken("brackets must name a host");
        heads = std::move(grown);
        i = close;
    }
    flush();
    if (out.empty()) throw broken("at least one host is needed");
    return out;
}

/// The tasks on node `node` of a list such as "4(x2),3": four on each of the first two nodes, three on the next.
inline int tasks_of_node(std::string_view list, int node) {
    auto const* at = list.data();
    auto const* const end = at + list.size();
    while (at < end) {
        int tasks = 0, times = 1;
        auto r = std::from_chars(at, end, tasks);
        if (r.ec != std::errc{} || tasks < 1) break;
        if (std::string_view(r.ptr, end).starts_with("(x")) {
            r = std::from_chars(r.ptr + 2, end, times);
            if (r.ec != std::errc{} || times < 1 || r.ptr == end || *r.ptr++ != ')') break;
        }
        if (node < times) return tasks;
        node -= times;
        if (r.ptr != end && *r.ptr != ',') break;
        at = r.ptr + 1;
    }
    throw config_error(message("launch (SLURM): tasks per node must read like 4(x2),3 and reach this node, got '", list,
                               "'\n  HINT: set RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT instead"));
}

}  // namespace penstock::dist
