#include <penstock/sources/braces.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;

namespace {

std::string all(std::string const& pattern) {
    auto const p = ps::brace_pattern(pattern);
    std::string out;
    for (std::uint64_t i = 0; i != p.size(); ++i) out += (i == 0 ? "" : " ") + p[i];
    return out;
}
std::string refusal(std::string const& pattern) {
    try {
        (void)ps::brace_pattern(pattern);
    } catch (ps::config_error const& e) {
        return e.what();
    }
    return {};
}

}  // namespace

TEST_CASE("braces: the names of W22", "[unit][sources]") {
    CHECK(all("s-{000..003}.tar") == "s-000.tar s-001.tar s-002.tar s-003.tar");
    CHECK(all("{08..11}") == "08 09 10 11");
    CHECK(all("{8..11}") == "8 9 10 11");
    CHECK(all("{7..010}") == "007 008 009 010");
    CHECK(all("{00..5}") == "00 01 02 03 04 05");
    CHECK(all("{3..1}") == "3 2 1");
    CHECK(all("{1..7..3}") == "1 4 7");
    CHECK(all("{1..8..-3}") == "1 4 7");
    CHECK(all("{1..3..0}") == "1 2 3");
    CHECK(all("{-01..1}") == "-01 000 001");
    CHECK(all("{-1..1}") == "-1 0 1");
    CHECK(all("{a..e..2}") == "a c e");
    CHECK(all("{Z..a}") == "Z a");
    CHECK(all("{c..a}") == "c b a");
    CHECK(all("a{b,c{1..2}}d") == "abd ac1d ac2d");
    CHECK(all("a{,b}") == "a ab");
    CHECK(all("x{a}") == "x{a}");
    CHECK(all("x{}") == "x{}");
    CHECK(all("{1..a}") == "{1..a}");
    CHECK(all("{1..2..x}") == "{1..2..x}");
    CHECK(all("{a{1..2}}") == "{a1} {a2}");
    CHECK(all("\\{a,b\\}") == "{a,b}");
    CHECK(all("{a\\,b,c}") == "a,b c");
    CHECK(all("{a,b}{1..2}") == "a1 a2 b1 b2");
    CHECK(all("plain") == "plain");
    CHECK(all("end\\") == "end\\");
    CHECK(ps::brace_pattern("").size() == 1);
}

TEST_CASE("braces: a bad pattern is quoted", "[unit][sources]") {
    for (std::string const bad : {"{a,b", "a}", "a{b}}", "{{a}", "{0..99999999999999999999}", "{1..99999999}{1..99999999}{1..99999999}"}) {
        auto const text = refusal(bad);
        CAPTURE(bad, text);
        CHECK(text.find("\"" + bad + "\"") != text.npos);
        CHECK(text.find("HINT") != text.npos);
    }
    CHECK(refusal(std::string(100'000, '{') + std::string(100'000, '}')).find("nested too deeply") != std::string::npos);
}

TEST_CASE("braces: names cost nothing until they are asked for", "[unit][sources]") {
    auto const p = ps::brace_pattern("s3://bucket/{train,extra}/part-{00000000..99999999}.tar");
    CHECK(p.size() == 200'000'000);
    CHECK(p[123'456'789] == "s3://bucket/extra/part-23456789.tar");
}

TEST_CASE("braces: surely_distinct never claims what is not so", "[unit][sources]") {
    for (std::string const pattern : {"{1..11}{1..11}", "{01..11}{1..9}", "{a,a}", "{0..9}", "{a..c}{0..9}", "{8..11}{a..b}", "{-1..1}{0..1}", "x", "{1..12}{11..12}"}) {
        auto const p = ps::brace_pattern(pattern);
        std::set<std::string> names;
        for (std::uint64_t i = 0; i != p.size(); ++i) names.insert(p[i]);
        CAPTURE(pattern);
        CHECK((!p.surely_distinct() || names.size() == p.size()));
    }
    CHECK(ps::brace_pattern("train-{000..999}.tar").surely_distinct());
    CHECK(ps::brace_pattern("{00..99}/{000..999}.tar").surely_distinct());
}
