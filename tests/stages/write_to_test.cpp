#include <penstock/stages/write_to.hpp>

#include <penstock/sources/range.hpp>
#include <penstock/stages/map.hpp>
#include <support/battery.hpp>

#include <memory>
#include <string>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {
struct text_sink {
    std::string text;
    void write(std::int64_t i) { text += (text.empty() ? "" : " ") + std::to_string(i); }
    std::string finish() { return std::move(text); }
};

/// What happened to a sink, which only moves.
struct diary {
    std::vector<std::string> lines;
    bool finished = false, destroyed = false;
};
class diary_sink {
public:
    explicit diary_sink(diary& d, int fails_at = -1) : d_(&d), fails_at_(fails_at) {}
    diary_sink(diary_sink&& other) noexcept : d_(std::exchange(other.d_, nullptr)), fails_at_(other.fails_at_) {}
    ~diary_sink() {
        if (d_) d_->destroyed = true;
    }
    void start() { d_->lines.push_back("start"); }
    void write(ps::keyed<int> const& item) {
        if (item.value == fails_at_) throw std::runtime_error("disk full");
        d_->lines.push_back(item.key);
    }
    void finish() { d_->finished = true; }

private:
    diary* d_;
    int fails_at_;
};
}  // namespace

TEST_CASE("write_to: the example", "[unit][write_to]") {
    using namespace ps;
    auto got =
    // example-begin write_to
    range(3) | write_to(text_sink{})    // 0 1 2
    // example-end
    ;
    CHECK(got == "0 1 2");
    CHECK((range(0) | write_to(text_sink{})).empty());
}

TEST_CASE("write_to: start, every item, finish; a sink of values gets the values of keyed items", "[unit][write_to]") {
    diary d;
    test::keyed_source(3) | ps::write_to(diary_sink(d));
    CHECK(d.lines == std::vector<std::string>{"start", "k0", "k1", "k2"});
    CHECK(d.finished);
    CHECK(d.destroyed);
    CHECK((test::keyed_source(3) | ps::write_to(text_sink{})) == "0 1 2");
}

TEST_CASE("write_to: a failed run destroys the sink unfinished, whoever fails", "[unit][write_to]") {
    diary full, broken;
    CHECK_THROWS_WITH(test::keyed_source(3) | ps::write_to(diary_sink(full, 1)), "disk full");
    CHECK_FALSE(full.finished);
    CHECK(full.destroyed);
    auto end = ps::write_to(diary_sink(broken));
    CHECK_THROWS_AS(test::keyed_source(3, {}, {1}) | std::move(end), ps::stage_error);
    CHECK(broken.lines == std::vector<std::string>{"start", "k0"});
    CHECK_FALSE(broken.finished);
    CHECK(broken.destroyed);
}

TEST_CASE("write_to: a named end of a chain serves several runs", "[unit][write_to]") {
    auto const end = ps::map([](auto i) { return i + 1; }) | ps::write_to(text_sink{});
    CHECK((ps::range(2) | end) == "1 2");
    CHECK((ps::range(3) | end) == "1 2 3");
}
