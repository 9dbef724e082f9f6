#include <penstock/core/state.hpp>

#include <support/sources.hpp>

#include <limits>

#include <support/catch.hpp>

namespace ps = penstock;
using penstock::test::error_of;

namespace {
ps::state example() {
    ps::state s;
    ps::state_writer w(s);
    w.stage("source", 1).put("at", 7);
    w.stage("take", 2).put("left", std::numeric_limits<std::uint64_t>::max()).put("zero", 0);
    w.branch("photos").stage("take", 1);
    w.stage("take", 1).put("left", 3);
    return s;
}
std::string refused(std::string const& text) {
    return error_of<ps::state_error>([&] { return ps::state::parse(text); });
}
}  // namespace

TEST_CASE("state: its text is read back equal", "[unit][state]") {
    auto const s = example();
    CHECK(s.text() == "penstock-state 1\nsource 1 at=7\ntake 2 left=18446744073709551615 zero=0\nphotos/take 1\ntake 1 left=3\n");
    CHECK(ps::state::parse(s.text()) == s);
    CHECK(ps::state::parse("penstock-state 1\n") == ps::state{});
}

TEST_CASE("state: equal names are numbered from the source", "[unit][state]") {
    auto const s = example();
    CHECK(s.path(0) == "source#0");
    CHECK(s.path(1) == "take#0");
    CHECK(s.path(2) == "photos/take#0");
    CHECK(s.path(3) == "take#1");
}

TEST_CASE("state: every cut and every wrong line is refused with its number", "[unit][state]") {
    auto const text = example().text();
    for (std::size_t length = 0; length != text.size(); ++length) {
        INFO(length);
        auto const cut = text.substr(0, length);
        if (!cut.empty() && cut.back() == '\n') CHECK(ps::state::parse(cut).text() == cut);  // whole lines are a shorter state, which load refuses
        else CHECK_FALSE(refused(cut).empty());
    }
    CHECK(refused("").find("empty text") != std::string::npos);
    CHECK(refused("penstock-state 2\n").find("expected 'penstock-state 1'") != std::string::npos);
    CHECK(refused("penstock-state 1\ntake one\n").find("line 2: expected a number, found 'one'") != std::string::npos);
    CHECK(refused("penstock-state 1\ntake 1 left\n").find("line 2: expected name=number, found 'left'") != std::string::npos);
    CHECK(refused("penstock-state 1\ntake 1 left=-1\n").find("found '-1'") != std::string::npos);
    CHECK(refused("penstock-state 1\ntake 1 left=99999999999999999999\n").find("expected a number") != std::string::npos);
    CHECK(refused("penstock-state 1\ntake 1 left=1").find("line 2 is cut off") != std::string::npos);
    using namespace std::string_literals;
    for (auto const& wrong : {"penstock-state 1\ntake one\n"s, "penstock-state 1\ntake 1 left\n"s, "penstock-state 1\ntake 1 left=0\0a=1\n"s, "penstock-state 1\ntake 1 le\0ft\n"s})
        CHECK(refused(wrong).find("HINT: the state is damaged") != std::string::npos);
}

TEST_CASE("state: a reader names the first difference", "[unit][state]") {
    auto const s = example();
    ps::state_reader r(s);
    CHECK(r.stage("source", 1).get("at") == 7);
    auto text = error_of<ps::state_error>([&] { return r.stage("batch", 1).get("n"); });
    CHECK(text.find("the saved state has take#0 where the chain has batch\n  HINT: ") != text.npos);

    ps::state_reader v(s);
    (void)v.stage("source", 1);
    text = error_of<ps::state_error>([&] { return v.stage("take", 1).get("left"); });
    CHECK(text.find("take#0 was saved in layout 2, this is layout 1\n  HINT: ") != text.npos);

    ps::state_reader g(s);
    text = error_of<ps::state_error>([&] { return g.stage("source", 1).get("byte"); });
    CHECK(text.find("source#0 holds no 'byte'\n  HINT: ") != text.npos);
    text = error_of<ps::state_error>([&] { return g.finish(), 0; });
    CHECK(text.find("the saved state has take#0 where the chain ends") != text.npos);

    ps::state const none;
    ps::state_reader e(none);
    text = error_of<ps::state_error>([&] { return e.stage("take", 1).get("left"); });
    CHECK(text.find("the chain has take where the saved state ends") != text.npos);
    e.finish();
}

TEST_CASE("state: branches share the cursor of the reader, and appended records carry the branch", "[unit][state]") {
    ps::state inner;
    ps::state_writer(inner).stage("take", 1).put("left", 2);
    ps::state s;
    ps::state_writer w(s);
    auto outer = w.branch("a");
    auto deep = outer.branch("b");
    deep.append(inner);
    w.stage("end", 1);
    CHECK(s.records.at(0).stage == "a/b/take");
    ps::state_reader r(s);
    auto a = r.branch("a");
    auto b = a.branch("b");
    CHECK(b.stage("take", 1).get("left") == 2);
    (void)r.stage("end", 1);
    r.finish();
}
