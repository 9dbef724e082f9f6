#include <penstock/train/fit_agreement.hpp>

#include <penstock/formats/indexed.hpp>
#include <penstock/sources/shard_list.hpp>

#include <support/tar_maker.hpp>
#include <support/temp_dir.hpp>

#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

TEST_CASE("data_identity: tells orders of the same shards apart, as a ledger of one says nothing about another", "[unit][fit]") {
    auto const dir = test::temp_dir{};
    auto tar = test::tar_maker{};
    for (char key : {'a', 'b', 'c'}) tar.add(std::string(1, key) + ".cls", "1");
    auto const path = dir.write("s.tar", tar.end().bytes);
    auto const identity = [&](bool shuffle) { return ps::train::data_identity((ps::shard_list({path}) | ps::indexed({.shuffle = shuffle, .progress = {}})).save()); };
    CHECK(identity(true) != identity(false));
    CHECK(identity(true) == identity(true));
}
