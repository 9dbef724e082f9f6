#include <penstock/core/batch_type.hpp>
#include <penstock/core/blob.hpp>
#include <penstock/core/cover.hpp>
#include <penstock/core/dropped.hpp>
#include <penstock/core/errors.hpp>
#include <penstock/core/fields.hpp>
#include <penstock/core/keyed.hpp>
#include <penstock/core/name_slots.hpp>
#include <penstock/core/world.hpp>
#include <penstock/version.hpp>

#include <support/sources.hpp>

#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
using penstock::test::error_of;

namespace {
std::vector<ps::interval> intervals(ps::cover const& c) {
    std::vector<ps::interval> all;
    c.each([&](ps::interval i) { all.push_back(i); });
    return all;
}
ps::fields example() {
    ps::fields f(std::make_shared<ps::shard_name const>(ps::shard_name{"data/part-003.tar"}), "dog/17", 4096);
    f.add("seg.png", ps::blob::of("mask"));
    f.add("cls", ps::blob::of(" -42\n"));
    f.add("txt", ps::blob::of("a dog"));
    f.add("big", ps::blob::of("99999999999999999999"));
    f.add("none", ps::blob::of(""));
    return f;
}
}  // namespace

TEST_CASE("cover: joins neighbours, keeps order, counts positions", "[unit][cover]") {
    ps::cover c;
    CHECK(c.empty());
    c.add(ps::interval{5, 5});
    CHECK(c.empty());
    c.add(ps::interval{5, 7});
    c.add(ps::interval{7, 8});
    CHECK(intervals(c) == std::vector<ps::interval>{{5, 8}});
    c.add(ps::interval{2, 3});
    c.add(ps::interval{3, 4});
    c.add(ps::cover::at(9));
    CHECK(intervals(c) == std::vector<ps::interval>{{5, 8}, {2, 4}, {9, 10}});
    CHECK(c.count() == 6);
    auto copy = c;
    c.add(copy);
    CHECK(c.count() == 12);
}

TEST_CASE("cover: nothing stays behind in one that was moved from", "[unit][cover]") {
    auto from = ps::cover::at(3);
    from.add(ps::cover::at(7));
    auto to = std::move(from);
    CHECK(intervals(to) == std::vector<ps::interval>{{3, 4}, {7, 8}});
    CHECK(from.empty());
    from = std::move(to);
    CHECK(to.empty());
    CHECK(from.count() == 2);
}

TEST_CASE("dropped: covers wait for the next item, come before its own, and are saved", "[unit][cover]") {
    ps::dropped d;
    auto at = [](std::uint64_t i) { return ps::keyed<int>{i, 0, ps::cover::at(i), {}, 1, 0}; };
    d.add(at(3));
    d.add(at(4));
    d.add(at(8));
    ps::state s;
    ps::state_writer w(s);
    d.save(w.stage("filter", 1));
    ps::dropped e;
    ps::state_reader r(s);
    e.load(r.stage("filter", 1));
    auto item = at(9);
    e.join(item);
    CHECK(intervals(item.cover) == std::vector<ps::interval>{{3, 5}, {8, 10}});
    auto next = at(10);
    e.join(next);
    CHECK(intervals(next.cover) == std::vector<ps::interval>{{10, 11}});
    CHECK(d.take().count() == 3);
    CHECK(d.take().empty());
    d.add(7);  // plain items leave nothing
    CHECK(d.take().empty());
}

TEST_CASE("fields: typed access by extension", "[unit][fields]") {
    auto const f = example();
    CHECK(f.text("txt") == "a dog");
    CHECK(f.integer("cls") == -42);
    CHECK(f.bytes("jpg;png;seg.png").text() == "mask");
    CHECK(f.has("txt"));
    CHECK_FALSE(f.has("png"));
    CHECK(f.find("nothing;") == nullptr);
    CHECK(f.text("none").empty());
}

TEST_CASE("fields: what is missing or no number names shard, key and byte", "[unit][fields]") {
    auto const f = example();
    auto text = error_of<ps::stage_error>([&] { return f.bytes("jpg;png").size(); });
    CHECK(text.find("data/part-003.tar, sample 'dog/17', byte 4096") != text.npos);
    CHECK(text.find("no field 'jpg;png'; it has: seg.png, cls, txt, big, none") != text.npos);
    CHECK(text.find("HINT: ask for one of these") != text.npos);
    CHECK(error_of<ps::stage_error>([&] { return f.text(".cls").size(); }).find("HINT: the dot before an extension") != text.npos);
    for (auto const* name : {"txt", "big", "none"}) {
        text = error_of<ps::stage_error>([&] { return f.integer(name); });
        CHECK(text.find("is not a 64-bit decimal integer") != text.npos);
        CHECK(text.find("HINT") != text.npos);
    }
    text = error_of<ps::stage_error>([] { return ps::fields{}.text("x"); });
    CHECK(text.find("it has: none") != text.npos);
}

TEST_CASE("fields: among very many each is found, at a cost that does not grow with their number", "[unit][fields]") {
    struct name_type {
        std::string text;
        std::size_t* looks;
        operator std::string_view() const { return ++*looks, text; }
        bool operator==(std::string_view other) const { return std::string_view(*this) == other; }
    };
    struct thing {
        name_type name;
    };
    for (std::size_t const n : {0u, 1u, 16u, 17u, 33u, 100u, 40'000u}) {
        std::size_t looks = 0;
        auto slots = ps::detail::name_slots{};
        auto all = std::vector<thing>{};
        for (std::size_t i = 0; i != n; ++i) {
            CHECK(slots.find(std::to_string(i), all) == all.size());
            all.push_back({{std::to_string(i), &looks}});
            slots.added(all);
        }
        for (std::size_t i = 0; i != n; ++i) REQUIRE(slots.find(std::to_string(i), all) == i);
        CHECK(looks <= 20 * n);  // and n * n / 2 if all were compared with all

        ps::fields f;
        for (std::size_t i = 0; i != n; ++i) f.add(std::to_string(i), ps::blob::of(std::to_string(i)));
        if (n != 0) f.add("0", ps::blob::of("again"));
        for (std::size_t i = 0; i != n; ++i) REQUIRE(f.text(std::to_string(i)) == std::to_string(i));  // the first of equal names
        auto const copy = f;
        CHECK(copy.has("none;" + std::to_string(n - 1)) == (n != 0));
        CHECK_FALSE(copy.has(std::to_string(n)));
    }
}

TEST_CASE("fields: integers as WebDataset reads them", "[unit][fields]") {
    auto read = [](char const* text) {
        ps::fields f;
        f.add("cls", ps::blob::of(text));
        return f.integer("cls");
    };
    CHECK(read("0") == 0);
    CHECK(read("+7") == 7);
    CHECK(read("\t 007 \r\n") == 7);
    CHECK(read("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
    for (auto const* bad : {"", " ", "+", "-", "1.5", "0x10", "1 2", "9223372036854775808"}) CHECK_THROWS_AS(read(bad), ps::stage_error);
}

TEST_CASE("keyed: with() keeps the identity around another value", "[unit][keyed]") {
    ps::keyed<int> a{3, 1, ps::cover::at(8), "k3", 0.5, 7};
    CHECK(ps::value(a) == 7);
    auto b = ps::rewrap(std::move(a), std::string("seven"));
    STATIC_REQUIRE(std::is_same_v<decltype(b), ps::keyed<std::string>>);
    CHECK(b.id == 3);
    CHECK(b.pass == 1);
    CHECK(b.key == "k3");
    CHECK(b.weight == 0.5);
    CHECK(b.cover.count() == 1);
    CHECK(b.value == "seven");
    int plain = 4;
    CHECK(ps::value(plain) == 4);
    STATIC_REQUIRE(std::is_same_v<decltype(ps::rewrap(1, 2.5f)), float>);
}

TEST_CASE("batch_of: weight is that of its items", "[unit][batch]") {
    CHECK(ps::batch_of<int>{.items = {1, 2, 3}}.weight() == 3);
    CHECK(ps::batch_of<int>{.items = {1, 2}, .weights = {0.5, 2}}.weight() == 2.5);
    CHECK(ps::batch_of<int>{}.weight() == 0);
}

TEST_CASE("blob: parts share the owner, which dies with the last of them", "[unit][blob]") {
    auto owner = std::make_shared<std::string>("hello world");
    std::weak_ptr<std::string> alive = owner;
    ps::blob part;
    {
        ps::blob whole(std::as_bytes(std::span(*owner)), owner);
        owner.reset();
        part = whole.part(6, 5);
    }
    CHECK_FALSE(alive.expired());
    CHECK(part.text() == "world");
    CHECK(part == ps::blob::of("world"));
    part = {};
    CHECK(alive.expired());
    CHECK(part.empty());
    CHECK(ps::blob::own(std::string("abc")).size() == 3);
}

TEST_CASE("errors: where something went wrong is in the text and in the members", "[unit][errors]") {
    ps::stage_error const e("decode", ps::fault::content, {"a.tar", "k", 512, 9}, "bad magic", "look at it");
    CHECK(std::string(e.what()) == "decode: a.tar, sample 'k' (id 9), byte 512: bad magic\n  HINT: look at it");
    CHECK(e.stage == "decode");
    CHECK(e.kind == ps::fault::content);
    CHECK(e.where.byte == 512u);
    CHECK(std::string(ps::stage_error("f", ps::fault::user, {}, "no").what()) == "f: no");
}

TEST_CASE("world: an impossible place is named", "[unit][world]") {
    CHECK(ps::checked({1, 2}, "split") == ps::world{1, 2});
    auto text = error_of<ps::config_error>([] { return ps::checked({4, 4}, "split_by_rank"); });
    CHECK(text.find("split_by_rank: rank must be < world, got rank 4, world 4\n  HINT: ") != text.npos);
    text = error_of<ps::config_error>([] { return ps::checked({0, 0}, "split_by_rank"); });
    CHECK(text.find("world size must be >= 1, got 0") != text.npos);
}

TEST_CASE("version: the number is that of the text", "[unit]") {
    int major = 0, minor = 0, patch = 0;
    REQUIRE(std::sscanf(PENSTOCK_VERSION, "%d.%d.%d", &major, &minor, &patch) == 3);
    CHECK(PENSTOCK_VERSION_NUMBER == 10000 * major + 100 * minor + patch);
}
