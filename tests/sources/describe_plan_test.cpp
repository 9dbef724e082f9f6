#include <penstock/sources/describe_plan.hpp>
#include <penstock/core/stage.hpp>
#include <penstock/sources/planned_reader.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/shuffle.hpp>

#include <support/fake_shards.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

using reader = ps::planned_reader<test::fake_shards>;

std::string text(std::vector<std::uint64_t> counts, std::uint32_t ranks, ps::shard_list_options o = {}, ps::epoch e = {}, std::size_t most = 32) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i != counts.size(); ++i) names.push_back(ps::message("data/s", i, ".tar"));
    o.counts = std::move(counts);
    return ps::describe_plan(ps::shard_list(names, o) | ps::split_by_rank({0, ranks}), e, most);
}

}  // namespace

TEST_CASE("describe_plan: one line per rank, with its shards, those it reads whole, and where it begins and ends", "[unit][sources]") {
    CHECK(text({10, 4, 0, 10}, 2) ==
          "epoch 0: 24 samples from 4 shards on 2 ranks, 12 each\n"
          "rank 0: 12 samples of 2 shards, 1 whole: s0.tar, s1.tar samples 0 to 1\n"
          "rank 1: 12 samples of 2 shards, 1 whole: s1.tar samples 2 to 3, s3.tar\n");
    CHECK(text({3, 3, 3, 3}, 1) == "epoch 0: 12 samples from 4 shards on 1 rank, 12 each\nrank 0: 12 samples of 4 shards, 4 whole: s0.tar ... s3.tar\n");
    CHECK(text({1}, 2) == "epoch 0: 1 sample from 1 shard on 2 ranks, 0 or 1 each\nrank 0: no sample\nrank 1: 1 sample of 1 shard: s0.tar\n");
    CHECK(text({0}, 1) == "epoch 0: 0 samples from 1 shard on 1 rank, 0 each\n");
    // the second epoch of 7 samples out of 5: the end of the second pass, and the third
    CHECK(text({5}, 1, {.samples_per_epoch = 7}, ps::epoch::of(0, 1)) == "epoch 1: 7 samples from 1 shard on 1 rank, 7 each\nrank 0: 7 samples of 2 shards, 0 whole: s0.tar samples 2 to 4, s0.tar samples 0 to 3\n");
}

TEST_CASE("describe_plan: of thousands of ranks the first and the last, at once", "[unit][sources]") {
    auto const all = text({1u << 20}, 16384, {}, {}, 5);
    CHECK(std::count(all.begin(), all.end(), '\n') == 7);
    CHECK(all.find("1,048,576 samples from 1 shard on 16,384 ranks, 64 each\nrank     0: 64") != all.npos);
    CHECK(all.find("rank     2: 64 samples of 1 shard: s0.tar samples 128 to 191\n... 16,379 more\nrank 16382: ") != all.npos);
    CHECK(all.find("rank 16383: 64 samples of 1 shard: s0.tar samples 1048512 to 1048575\n") != all.npos);
    CHECK(text({9}, 3, {}, {}, 1).find("... 2 more\n") != std::string::npos);
    CHECK(text({9}, 3, {}, {}, 0).find("... 3 more\n") != std::string::npos);
}

TEST_CASE("describe_plan: a chain tells the order it reads in, a part its own samples, an epoch begun elsewhere what is left of it", "[unit][sources]") {
    test::fake_shards format;
    std::vector<std::string> names;
    for (int i = 0; i != 6; ++i) {
        names.push_back("s" + std::to_string(i));
        format.disk->shards.try_emplace(names.back(), test::fake_disk::shard{.samples = 20});
    }
    auto const plan = ps::shard_list(names, {.samples_per_shard = 20, .part = ps::part::train, .hold_out = 0.25}) | ps::shuffle_shards() | ps::split_by_rank({1, 2});
    auto p = ps::pipeline<reader>(reader(plan, format)) | ps::shuffle(5) | ps::batch(4);
    p.reset(3, 2);
    auto const told = ps::describe_plan(p);
    CHECK(told.starts_with(ps::message("epoch 2: ", plan.samples(), " samples of the train part (hold_out 0.25) from 6 shards on 2 ranks, ")));
    auto const line = told.substr(told.find("rank 1: "));
    auto const opened = [&] {
        format.disk->opened.clear();
        while (p.next()) {}
        return format.disk->opened;
    }();
    CHECK(line.find(ps::message("of ", opened.size(), " shards")) != line.npos);
    CHECK(line.find(": " + opened.front()) != line.npos);
    CHECK(line.find(' ' + opened.back()) != line.npos);

    ps::ledger used;
    auto const n = plan.samples();
    used.put("", ps::interval_set({2 * n, 3 * n - 10}));
    p.reset(ps::epoch::of(3, 2), used);
    CHECK(ps::describe_plan(p).starts_with("epoch 2: 10 samples of the train"));
}

TEST_CASE("describe_plan: a plan without counts is refused", "[unit][sources]") {
    try {
        (void)ps::describe_plan(ps::shard_list("s{0..3}.tar"));
        FAIL("no error");
    } catch (ps::config_error const& e) {
        CHECK(std::string(e.what()).find("describe_plan(\"s{0..3}.tar\"): the number of samples of the shards is not known\n  HINT") != std::string::npos);
    }
}
