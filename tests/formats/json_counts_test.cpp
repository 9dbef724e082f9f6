// Implements: tests of sizes.json and Energon's .info.json.
#include <penstock/formats/json_counts.hpp>

#include <support/temp_dir.hpp>

#include <map>
#include <string>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
bool has(std::string const& text, std::string_view part) { return text.find(part) != text.npos; }
std::string error_of(auto&& f) {
    try {
        f();
    } catch (ps::error const& e) {
        return e.what();
    }
    return "no error";
}
}  // namespace

TEST_CASE("read_sizes_json: the flat object, and nothing else", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const read = [&](std::string_view text) { return ps::read_sizes_json(dir.write("sizes.json", text)); };
    CHECK(read("{}").empty());
    CHECK(read(" { } \n").empty());
    CHECK(read("{\"00000.tar\": 10000, \"a\\\"\\\\\\/b\":0}\n") == std::map<std::string, std::uint64_t>{{"00000.tar", 10000}, {"a\"\\/b", 0}});
    for (auto bad : {"", "{", "[]", "{\"a\"}", "{\"a\":}", "{\"a\":-1}", "{\"a\":1.5}", "{\"a\":1e3}", "{\"a\":01}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{\"a\":1}x", "{\"a\":\"1\"}", "{\"a\":1,\"a\":1}",
                     "{a:1}", "{\"a:1}", "{\"a\\n\":1}", "{\"a\":99999999999999999999}", "{\"a\":{}}", "{\"a\"", "{\"a\":1", "{\"\\"}) {
        INFO(bad);
        auto const text = error_of([&] { read(bad); });
        CHECK(has(text, "read_sizes_json: " + dir.path("sizes.json") + ", byte "));
        CHECK(has(text, ": expected "));
    }
}

TEST_CASE("read_energon_info: the counts among whatever else is there", "[unit][formats]") {
    auto const dir = test::temp_dir{};
    auto const read = [&](std::string_view text) { return ps::read_energon_info(dir.write(".info.json", text)); };
    using counts = std::map<std::string, std::uint64_t>;
    CHECK(read("{\"energon_version\": \"7.1.0\", \"shard_counts\": {\"a/shard_0.tar\": 100, \"b.tar\": 0}}") == counts{{"a/shard_0.tar", 100}, {"b.tar", 0}});
    CHECK(read("{\"a\": [1, -2.5e+3, [], {}, {\"x\": null}, true, \"shard_counts\"], \"shard_counts\": {}, \"z\": false}") == counts{});
    CHECK(has(error_of([&] { read("{\"energon_version\": \"7\"}"); }), "has no \"shard_counts\""));
    for (auto bad : {"", "[]", "{\"a\":}", "{\"a\":[1,]}", "{\"a\":[1}", "{\"a\":{\"b\"}}", "{\"shard_counts\": 7}", "{\"shard_counts\": {\"a\": 1.5}}", "{\"shard_counts\": {}} x"}) {
        INFO(bad);
        CHECK(has(error_of([&] { read(bad); }), "expected "));
    }
    CHECK(has(error_of([&] { read("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}"); }), "nested less deeply"));
}
