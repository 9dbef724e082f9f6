#include <penstock/dist/node_list.hpp>

#include <string>
#include <vector>

#include <support/catch.hpp>

namespace dist = penstock::dist;
using names = std::vector<std::string>;

TEST_CASE("node_list: SLURM's brackets are expanded, zeros kept", "[unit][dist]") {
    CHECK(dist::expand_nodes("login") == names{"login"});
    CHECK(dist::expand_nodes("a,b-1,c") == names{"a", "b-1", "c"});
    CHECK(dist::expand_nodes("gpu[001-003,7],login-1") == names{"gpu001", "gpu002", "gpu003", "gpu7", "login-1"});
    CHECK(dist::expand_nodes("n[08-11]") == names{"n08", "n09", "n10", "n11"});
    CHECK(dist::expand_nodes("rack[1-2]-node[0-1].cluster") == names{"rack1-node0.cluster", "rack2-node0.cluster", "rack1-node1.cluster", "rack2-node1.cluster"});
}

TEST_CASE("node_list: what cannot be a node list is named", "[unit][dist]") {
    for (std::string bad : {"", ",", "n[1-", "n[]", "n[3-1]", "n[a-b]", "n[1-x]", "n[0-99999999999999999999]", "n[0-9999999]"}) {
        CAPTURE(bad);
        try {
            (void)dist::expand_nodes(bad);
            CHECK(false);
        } catch (penstock::config_error const& e) {
            std::string const text = e.what();
            CHECK(text.find("'" + bad + "'") != text.npos);
            CHECK(text.find("HINT") != text.npos);
        }
    }
}

TEST_CASE("node_list: tasks per node", "[unit][dist]") {
    CHECK(dist::tasks_of_node("4", 0) == 4);
    CHECK(dist::tasks_of_node("4(x2),3", 0) == 4);
    CHECK(dist::tasks_of_node("4(x2),3", 1) == 4);
    CHECK(dist::tasks_of_node("4(x2),3", 2) == 3);
    for (char const* bad : {"", "x", "4(x2", "4(x0)", "0", "4;3"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(dist::tasks_of_node(bad, 2), penstock::config_error);
    }
    CHECK_THROWS_AS(dist::tasks_of_node("4(x2),3", 3), penstock::config_error);
}
