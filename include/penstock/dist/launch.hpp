// Implements: who launched this process, and as which rank of how many: torchrun, Open MPI, MPICH, SLURM, --nproc=N, or nobody.
#pragma once

#include <penstock/core/errors.hpp>     // defines: config_error, message
#include <penstock/dist/node_list.hpp>  // defines: expand_nodes, tasks_of_node

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <system_error>

namespace penstock::dist {

/// Looks up an environment variable; empty when it is not set. A function, so that tests need no real environment.
using environment = std::function<std::optional<std::string>(std::string const&)>;

inline environment process_environment() {
    return [](std::string const& name) -> std::optional<std::string> {
        char const* text = std::getenv(name.c_str());
        return text ? std::optional<std::string>(text) : std::nullopt;
    };
}

/// Where this process stands among its peers, as its launcher told it.
struct launch {
    int rank = 0;              ///< 0 .. world-1
    int world = 1;             ///< processes of the whole job
    int local_rank = 0;        ///< 0 .. local_world-1, chooses the device
    int local_world = 1;       ///< processes on this machine
    std::string host{};        ///< where the store listens; empty for a world of 1
    int port = 0;              ///< the store's port
    std::string source{};      ///< "torchrun", "Open MPI", "MPICH", "SLURM", "--nproc" or "none"
    bool agent_store = false;  ///< the launcher serves the store already: every rank, rank 0 too, is a client
    std::string job{};         ///< what all ranks of this job were told and no other job is; empty where the launcher tells no such thing
    std::string run_id{};      ///< prefix of all keys: a restarted job may meet the store of its first life
    int spawn = 0;             ///< > 0: this process is the parent that starts so many ranks (dist/spawn.hpp)
};

/// Does this host name mean "this machine" on every machine?
inline bool is_loopback(std::string const& host) { return host.starts_with("127.") || host == "localhost" || host == "::1"; }

namespace detail {

struct launch_reader {
    environment const& get;

    bool has(char const* name) const { return !text(name).empty(); }
    std::string text(char const* name, std::string fallback = {}) const {
        auto v = get(name);
        return v && !v->empty() ? *v : fallback;
    }
    std::optional<int> number(char const* name) const {
        auto const v = text(name);
        if (v.empty()) return std::nullopt;
        int n = 0;
        auto const [end, ec] = std::from_chars(v.data(), v.data() + v.size(), n);
        if (ec != std::errc{} || end != v.data() + v.size())
            throw config_error(message("launch: ", name, " must be a whole number, got '", v, "'\n  HINT: unset it to run alone, or set it as torchrun does"));
        return n;
    }
    std::optional<int> first_of(std::initializer_list<char const*> names) const {
        for (auto name : names)
            if (auto n = number(name)) return n;
        return std::nullopt;
    }
    void need(char const* name, char const* because) const {
        if (has(name)) return;
        throw config_error(message("launch: ", name, " must be set when ", because, " is, got nothing",
                                   "\n  HINT: set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT together, or unset them all to run alone"));
    }

    void address(launch& l, std::string const& fallback_host, int fallback_port) const {
        if (l.world == 1) return;
        l.host = text("MASTER_ADDR", fallback_host);
        l.port = number("MASTER_PORT").value_or(fallback_port);
        if (l.host.empty() && l.local_world == l.world) l.host = "127.0.0.1";
        if (l.host.empty())
            throw config_error(message("launch (", l.source, "): MASTER_ADDR must be set when the ranks are on several machines, got nothing",
                                       "\n  HINT: export MASTER_ADDR=<host of rank 0>"));
    }

    launch check(launch l) const {
        auto refuse = [&](auto const&... rule) {
            return config_error(message("launch (", l.source, "): ", rule..., "\n  HINT: ranks count from 0, and every rank is told the same world size"));
        };
        if (l.world < 1) throw refuse("the world size must be >= 1, got ", l.world);
        if (l.rank < 0 || l.rank >= l.world) throw refuse("the rank must be >= 0 and < world, got rank ", l.rank, ", world ", l.world);
        if (l.local_world < 1 || l.local_world > l.world) throw refuse("the local world must be in 1..", l.world, ", got ", l.local_world);
        if (l.local_rank < 0 || l.local_rank >= l.local_world)
            throw refuse("the local rank must be >= 0 and < local world, got local rank ", l.local_rank, ", local world ", l.local_world);
        if (l.world == 1) return l;
        if (l.port < 1 || l.port > 65535) throw refuse("MASTER_PORT must be in 1..65535, got ", l.port);
        if (l.local_world < l.world && is_loopback(l.host))
            throw refuse("MASTER_ADDR must be reachable from every machine, got '", l.host, "' with ", l.local_world, " of ", l.world, " ranks on this one");
        return l;
    }

    launch torchrun() const {
        launch l{.source = "torchrun"};
        need("RANK", "WORLD_SIZE");
        need("WORLD_SIZE", "RANK");
        l.rank = *number("RANK");
        l.world = *number("WORLD_SIZE");
        if (l.world > 1) {
            need("MASTER_ADDR", "RANK");
            need("MASTER_PORT", "RANK");
        }
        bool const here = is_loopback(text("MASTER_ADDR"));  // ranks started by hand on one machine rarely set LOCAL_*
        l.local_world = number("LOCAL_WORLD_SIZE").value_or(here ? l.world : 1);
        l.local_rank = number("LOCAL_RANK").value_or(here ? l.rank : 0);
        address(l, "", 0);
        l.agent_store = text("TORCHELASTIC_USE_AGENT_STORE") == "True";
        return check(l);
    }

    launch mpi(char const* source, int rank, std::optional<int> size, std::optional<int> local_rank, std::optional<int> local_size) const {
        launch l{.source = source};
        if (!size)
            throw config_error(message("launch (", source, "): the launcher must tell the world size, got rank ", rank,
                                       " alone\n  HINT: set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT"));
        l.rank = rank;
        l.world = *size;
        l.local_rank = local_rank.value_or(0);
        l.local_world = local_size.value_or(1);
        // Two jobs on one machine need two ports, and a PMIx namespace is what all ranks of one job share (FNV-1a of it).
        std::uint32_t mix = 2166136261u;
        auto const space = text("PMIX_NAMESPACE");
        for (char c : space) mix = (mix ^ static_cast<unsigned char>(c)) * 16777619u;
        address(l, "", space.empty() ? 29500 : 20000 + static_cast<int>(mix % 9000));
        return check(l);
    }

    launch slurm() const {
        launch l{.source = "SLURM"};
        need("SLURM_PROCID", "SLURM_STEP_ID");
        l.rank = *number("SLURM_PROCID");
        l.world = first_of({"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}).value_or(1);
        l.local_rank = number("SLURM_LOCALID").value_or(0);
        auto const nodes = expand_nodes(text("SLURM_STEP_NODELIST", text("SLURM_JOB_NODELIST", "localhost")));
        if (nodes.size() == 1) l.local_world = l.world;
        else if (has("SLURM_STEP_TASKS_PER_NODE")) l.local_world = tasks_of_node(text("SLURM_STEP_TASKS_PER_NODE"), number("SLURM_NODEID").value_or(0));
        else l.local_world = number("SLURM_NTASKS_PER_NODE").value_or(l.local_rank + 1);
        auto job = text("SLURM_JOB_ID", "0");
        if (job.size() > 4) job.erase(0, job.size() - 4);
        int tail = 0;
        std::from_chars(job.data(), job.data() + job.size(), tail);
        address(l, nodes.size() == 1 ? "127.0.0.1" : nodes.front(), 15000 + tail);  // the port by Lightning's convention
        return check(l);
    }

    /// torchrun: --rdzv-id ("none" is its default, for every job); Open MPI and PMIx: the namespace; SLURM: job and step. Ranks that are started by hand, and
    /// MPICH without PMIx, are told nothing: PENSTOCK_JOB_ID says it for them, and overrides the others.
    std::string job(std::string const& source) const {
        if (has("PENSTOCK_JOB_ID")) return text("PENSTOCK_JOB_ID");
        if (source == "SLURM") return has("SLURM_JOB_ID") ? message(text("SLURM_JOB_ID"), '.', text("SLURM_STEP_ID")) : std::string();
        if (source == "torchrun" || source == "--nproc") return text("TORCHELASTIC_RUN_ID") == "none" ? std::string() : text("TORCHELASTIC_RUN_ID");
        return text("PMIX_NAMESPACE", text("OMPI_MCA_ess_base_jobid"));
    }

    launch find() const {
        bool const slurm_step = has("SLURM_STEP_ID") && first_of({"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}).value_or(1) > 1;
        if (has("RANK")) return torchrun();
        if (auto r = number("OMPI_COMM_WORLD_RANK"))
            return mpi("Open MPI", *r, number("OMPI_COMM_WORLD_SIZE"), number("OMPI_COMM_WORLD_LOCAL_RANK"), number("OMPI_COMM_WORLD_LOCAL_SIZE"));
        if (slurm_step && !has("MPI_LOCALRANKID")) return slurm();  // srun --mpi=pmi2 sets PMI_RANK as well, but no hosts
        if (auto r = first_of({"PMI_RANK", "PMIX_RANK", "MV2_COMM_WORLD_RANK"}))
            return mpi("MPICH", *r, first_of({"PMI_SIZE", "PMIX_SIZE", "MV2_COMM_WORLD_SIZE"}), first_of({"MPI_LOCALRANKID", "MV2_COMM_WORLD_LOCAL_RANK"}),
                       first_of({"MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE"}));
        if (number("WORLD_SIZE").value_or(1) != 1) return torchrun();  // without RANK: throws what is missing
        return {.source = "none"};
    }
};

}  // namespace detail

/// Reads the launcher's variables; the first launcher that is recognised wins. `nproc` is the value of --nproc=N, 0 without it.
/// Errors: config_error for half-set, non-numeric or impossible values, and for --nproc inside a job that was launched already.
inline launch read_launch(environment const& get, int nproc = 0) {
    detail::launch_reader const in{get};
    auto l = in.find();
    if (nproc < 0) throw config_error(message("--nproc=N: N must be >= 1, got ", nproc, "\n  HINT: --nproc=2 starts two ranks on this machine"));
    if (nproc > 0 && l.source != "none")
        throw config_error(message("--nproc=", nproc, ": a rank cannot start ranks, got rank ", l.rank, " of ", l.world, " from ", l.source,
                                   "\n  HINT: leave --nproc out, or start the program without ", l.source));
    if (nproc > 1) l.spawn = nproc;
    if (nproc > 1 || (l.source == "torchrun" && in.has("PENSTOCK_PARENT"))) l.source = "--nproc";  // parent, or child of dist/spawn.hpp
    l.job = in.job(l.source);
    l.run_id = (l.job.empty() ? "run" : l.job) + "/" + in.text("TORCHELASTIC_RESTART_COUNT", "0");
    return l;
}

}  // namespace penstock::dist
