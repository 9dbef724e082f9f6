#include <penstock/sources/shard_list.hpp>

#include <cstdlib>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;

namespace {

std::string all(ps::shard_plan const& plan) {
    std::string out;
    for (std::size_t i = 0; i != plan.shards(); ++i) out += (i == 0 ? "" : " ") + plan.names()[i];
    return out;
}
template <class F>
std::string refusal(F f) {
    try {
        f();
    } catch (ps::config_error const& e) {
        return e.what();
    }
    return {};
}
bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("shard_list: the example of its comment", "[unit][sources]") {
    // example-begin shard_list
    auto n = ps::shard_list("train-{000..002}.tar").shards()    // 3
    // example-end shard_list
        ;
    CHECK(n == 3);
}

TEST_CASE("shard_list: parts, environment and braces in the order of W21", "[unit][sources]") {
    CHECK(all(ps::shard_list("a-{0..1}.tar::b.tar::")) == "a-0.tar a-1.tar b.tar");
    ::setenv("WDS_PENSTOCK_A", "x{1..2}", 1);
    ::setenv("WDS_PENSTOCK_B", "${PENSTOCK_A}/y", 1);
    CHECK(all(ps::shard_list("${PENSTOCK_A}.tar")) == "x1.tar x2.tar");
    CHECK(all(ps::shard_list("p/${PENSTOCK_B}")) == "p/x1/y p/x2/y");
    ::setenv("WDS_PENSTOCK_C", "${PENSTOCK_C}", 1);
    CHECK(all(ps::shard_list("${PENSTOCK_C}")) == "${PENSTOCK_C}");  // a circle ends
    auto const text = refusal([] { (void)ps::shard_list("${PENSTOCK_NOT_SET}/a.tar"); });
    CHECK(has(text, "WDS_PENSTOCK_NOT_SET"));
    CHECK(has(text, "HINT"));
}

TEST_CASE("shard_list: a list is taken as it is", "[unit][sources]") {
    CHECK(all(ps::shard_list({"a{1..2}", "b::c"})) == "a{1..2} b::c");
    CHECK(all(ps::shard_list(std::vector<std::string>{"one"})) == "one");
}

TEST_CASE("shard_list: empty lists, empty names and names that occur twice are named", "[unit][sources]") {
    for (auto const& text : {refusal([] { (void)ps::shard_list(""); }), refusal([] { (void)ps::shard_list("::"); }), refusal([] { (void)ps::shard_list(std::vector<std::string>{}); })}) {
        CHECK(has(text, "at least one shard, got none"));
        CHECK(has(text, "HINT"));
    }
    CHECK(has(refusal([] { (void)ps::shard_list({"a", ""}); }), "a path is empty"));
    auto const text = refusal([] { (void)ps::shard_list("x-{0..3}.tar::y.tar::x-2.tar"); });
    CHECK(has(text, "x-2.tar is number 2 and number 5"));
    CHECK(has(refusal([] { (void)ps::shard_list("{a,b,a}"); }), "a is number 0 and number 2"));
    CHECK(has(refusal([] { (void)ps::shard_list({"q", "r", "r"}); }), "r is number 1 and number 2"));
    CHECK(has(refusal([] { (void)ps::shard_list("{0..9999999999}"); }), "2^32 - 2 shards"));
}
