#include <penstock/dist/launch.hpp>

#include <map>
#include <optional>
#include <string>

#include <support/catch.hpp>

namespace dist = penstock::dist;

namespace {

using variables = std::map<std::string, std::string>;

dist::launch launched(variables const& v, int nproc = 0) {
    return dist::read_launch(
        [&](std::string const& name) {
            auto const at = v.find(name);
            return at == v.end() ? std::nullopt : std::optional(at->second);
        },
        nproc);
}

std::string refused(variables const& v, int nproc = 0) {
    try {
        auto const l = launched(v, nproc);
        return "accepted: " + l.source;
    } catch (penstock::config_error const& e) {
        return e.what();
    }
}

bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos && text.find("HINT") != text.npos; }

}  // namespace

TEST_CASE("launch: nobody", "[unit][dist]") {
    auto const l = launched({});
    CHECK(l.source == "none");
    CHECK(l.rank == 0);
    CHECK(l.world == 1);
    CHECK(l.spawn == 0);
    CHECK(launched({{"WORLD_SIZE", "1"}}).source == "none");
    CHECK(launched({}, 1).spawn == 0);  // --nproc=1 needs no second process
}

TEST_CASE("launch: torchrun, its agent's store, and ranks started by hand", "[unit][dist]") {
    variables v{{"RANK", "5"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}, {"LOCAL_WORLD_SIZE", "4"}, {"MASTER_ADDR", "10.0.0.1"}, {"MASTER_PORT", "29400"},
                {"TORCHELASTIC_USE_AGENT_STORE", "True"}, {"TORCHELASTIC_RUN_ID", "abc"}, {"TORCHELASTIC_RESTART_COUNT", "2"}};
    auto l = launched(v);
    CHECK(l.source == "torchrun");
    CHECK(l.rank == 5);
    CHECK(l.world == 8);
    CHECK(l.local_rank == 1);
    CHECK(l.local_world == 4);
    CHECK(l.host == "10.0.0.1");
    CHECK(l.port == 29400);
    CHECK(l.agent_store);
    CHECK(l.run_id == "abc/2");

    v["TORCHELASTIC_USE_AGENT_STORE"] = "False";
    CHECK_FALSE(launched(v).agent_store);

    auto const hand = launched({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "29500"}});
    CHECK(hand.local_rank == 1);  // one machine: local is global
    CHECK(hand.local_world == 2);
    auto const far = launched({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "node1"}, {"MASTER_PORT", "29500"}});
    CHECK(far.local_rank == 0);
    CHECK(far.local_world == 1);
    CHECK(launched({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).world == 1);  // alone: no address needed
}

TEST_CASE("launch: MPI launchers", "[unit][dist]") {
    variables v{{"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "3"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}};
    auto l = launched(v);
    CHECK(l.source == "Open MPI");
    CHECK(l.rank == 3);
    CHECK(l.local_world == 4);
    CHECK(l.host == "127.0.0.1");
    CHECK(l.port == 29500);
    CHECK_FALSE(l.agent_store);

    auto one = v, two = v;
    one["PMIX_NAMESPACE"] = "prterun-host-17@1";
    two["PMIX_NAMESPACE"] = "prterun-host-18@1";
    CHECK(launched(one).port == launched(one).port);
    CHECK(launched(one).port != launched(two).port);
    one["MASTER_PORT"] = "4711";
    CHECK(launched(one).port == 4711);

    v["OMPI_COMM_WORLD_LOCAL_SIZE"] = "2";
    v["OMPI_COMM_WORLD_LOCAL_RANK"] = "1";
    CHECK(has(refused(v), "MASTER_ADDR"));
    v["MASTER_ADDR"] = "node1";
    CHECK(launched(v).host == "node1");
    v["MASTER_ADDR"] = "localhost";
    CHECK(has(refused(v), "got 'localhost'"));

    auto const m = launched({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MPI_LOCALRANKID", "1"}, {"MPI_LOCALNRANKS", "2"}});
    CHECK(m.source == "MPICH");
    CHECK(m.rank == 1);
    CHECK(m.local_world == 2);
    CHECK(has(refused({{"PMI_RANK", "1"}}), "rank 1"));
    CHECK(launched({{"MV2_COMM_WORLD_RANK", "0"}, {"MV2_COMM_WORLD_SIZE", "2"}, {"MV2_COMM_WORLD_LOCAL_RANK", "0"}, {"MV2_COMM_WORLD_LOCAL_SIZE", "2"}}).world == 2);
}

TEST_CASE("launch: SLURM", "[unit][dist]") {
    variables v{{"SLURM_STEP_ID", "0"}, {"SLURM_NTASKS", "7"}, {"SLURM_PROCID", "6"}, {"SLURM_LOCALID", "2"}, {"SLURM_NODEID", "2"},
                {"SLURM_STEP_TASKS_PER_NODE", "2(x2),3"}, {"SLURM_JOB_NODELIST", "gpu[07-09]"}, {"SLURM_JOB_ID", "1234567"}};
    auto l = launched(v);
    CHECK(l.source == "SLURM");
    CHECK(l.rank == 6);
    CHECK(l.world == 7);
    CHECK(l.local_rank == 2);
    CHECK(l.local_world == 3);
    CHECK(l.host == "gpu07");
    CHECK(l.port == 15000 + 4567);

    v["PMI_RANK"] = "6";  // srun --mpi=pmi2 sets it as well
    v["PMI_SIZE"] = "7";
    CHECK(launched(v).source == "SLURM");
    v["SLURM_JOB_NODELIST"] = "gpu07";
    CHECK(launched(v).host == "127.0.0.1");
    CHECK(launched(v).local_world == 7);
    CHECK(launched({{"SLURM_STEP_ID", "0"}, {"SLURM_NTASKS", "1"}, {"SLURM_PROCID", "0"}}).source == "none");  // srun -n 1: alone
    v["SLURM_JOB_NODELIST"] = "gpu[7-";
    CHECK(has(refused(v), "gpu[7-"));
    v.erase("SLURM_PROCID");
    CHECK(has(refused(v), "SLURM_PROCID"));
}

TEST_CASE("launch: torchrun's variables win over the others", "[unit][dist]") {
    auto const l = launched({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "1"}, {"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "4"}});
    CHECK(l.source == "torchrun");
    CHECK(l.world == 2);
}

TEST_CASE("launch: impossible and half-set values are named", "[unit][dist]") {
    variables const good{{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "29500"}};
    auto with = [&](std::string const& name, std::string const& value) {
        auto v = good;
        v[name] = value;
        return refused(v);
    };
    auto without = [&](std::string const& name) {
        auto v = good;
        v.erase(name);
        return refused(v);
    };
    CHECK(refused(good) == "accepted: torchrun");
    CHECK(has(with("RANK", "2"), "rank 2, world 2"));
    CHECK(has(with("RANK", "-1"), "rank -1"));
    CHECK(has(with("RANK", "one"), "'one'"));
    CHECK(has(with("RANK", "1 "), "'1 '"));
    CHECK(has(with("WORLD_SIZE", "0"), "world"));
    CHECK(has(with("WORLD_SIZE", "99999999999"), "'99999999999'"));
    CHECK(has(with("MASTER_PORT", "http"), "'http'"));
    CHECK(has(with("MASTER_PORT", "70000"), "70000"));
    CHECK(has(with("LOCAL_RANK", "5"), "local rank 5"));
    CHECK(has(with("LOCAL_WORLD_SIZE", "3"), "got 3"));
    for (char const* name : {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}) {
        CAPTURE(name);
        CHECK(has(without(name), name));
    }
}

TEST_CASE("launch: --nproc", "[unit][dist]") {
    auto const l = launched({}, 3);
    CHECK(l.spawn == 3);
    CHECK(l.source == "--nproc");
    CHECK(has(refused({}, -1), "got -1"));
    CHECK(has(refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "1"}}, 2), "rank 0 of 2 from torchrun"));
    auto const child = launched({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "1"}, {"PENSTOCK_PARENT", "17"}});
    CHECK(child.source == "--nproc");
    CHECK(child.spawn == 0);
}

TEST_CASE("launch: the id of the job comes from the launcher, or from PENSTOCK_JOB_ID", "[unit][dist]") {
    variables const hand{{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "29500"}};
    auto const with = [](variables v, variables const& more) {
        for (auto const& [name, value] : more) v[name] = value;
        return launched(v);
    };
    CHECK(launched(hand).job.empty());
    CHECK(launched(hand).run_id == "run/0");
    CHECK(with(hand, {{"PENSTOCK_JOB_ID", "mine"}}).job == "mine");
    CHECK(with(hand, {{"TORCHELASTIC_RUN_ID", "abc"}}).job == "abc");
    CHECK(with(hand, {{"TORCHELASTIC_RUN_ID", "none"}}).job.empty());  // torchrun's default is the same for every job
    CHECK(with(hand, {{"TORCHELASTIC_RUN_ID", "abc"}, {"PENSTOCK_JOB_ID", "mine"}}).job == "mine");
    CHECK(with(hand, {{"PENSTOCK_PARENT", "7"}, {"TORCHELASTIC_RUN_ID", "nproc-7"}}).job == "nproc-7");
    variables const open{{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
    CHECK(launched(open).job.empty());
    CHECK(with(open, {{"PMIX_NAMESPACE", "3735552001"}}).job == "3735552001");
    CHECK(with(open, {{"OMPI_MCA_ess_base_jobid", "42"}}).job == "42");
    variables const slurm{{"SLURM_JOB_ID", "123456"}, {"SLURM_STEP_ID", "2"}, {"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "2"}, {"SLURM_LOCALID", "1"}, {"SLURM_STEP_NODELIST", "node7"}};
    CHECK(launched(slurm).job == "123456.2");
    CHECK(launched({}).job.empty());
}
