// Every stage behind any(), prefetch, parallel_map and a fan-in of one: the same facts, the same items, the same positions, in every epoch.
#include <conformance/stage_kinds.hpp>

#include <penstock/concurrency/parallel_map.hpp>
#include <penstock/concurrency/prefetch.hpp>
#include <penstock/stages/batch.hpp>
#include <penstock/stages/inspect.hpp>
#include <penstock/stages/on_error.hpp>
#include <support/sources.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

constexpr int items = 13;

template <class T>
struct border {
    std::string name;
    std::function<ps::any_pipeline<T>(ps::any_pipeline<T>)> put;
};
template <class T>
std::vector<border<T>> borders() {
    using chain = ps::any_pipeline<T>;
    return {
        {"inspect", [](chain c) { return ps::any(std::move(c) | ps::inspect([](auto const&) {})); }},
        {"prefetch(1)", [](chain c) { return ps::any(std::move(c) | ps::prefetch(1)); }},
        {"prefetch(50)", [](chain c) { return ps::any(std::move(c) | ps::prefetch(50)); }},
        {"parallel_map", [](chain c) { return ps::any(std::move(c) | ps::parallel_map([](auto x) { return x; }, {.threads = 2, .window = 5})); }},
    };
}

template <class T>
std::string shown(T const& item) {
    std::string text;
    if constexpr (ps::is_batch<T>) {
        for (auto const id : item.ids) text += ps::message(' ', id);
        for (auto const i : item.items) text += ps::message(' ', i);
    } else text = ps::message(item.id, '=', item.value);
    text += " over";
    item.cover.each([&](ps::interval i) { text += ps::message(" [", i.begin, ' ', i.end, ')'); });
    return text;
}

/// All that a consumer of three epochs meets.
template <class T>
struct met {
    std::vector<ps::chain_facts> facts;
    std::vector<std::string> items;

    explicit met(ps::any_pipeline<T> p) {
        facts.push_back(p.facts());
        for (std::uint64_t e = 0; e != 3; ++e) {
            p.reset(9, e);
            facts.push_back(p.facts());
            for (int n = 0; n != 500; ++n) try {
                    auto item = p.next();
                    if (!item) break;
                    items.push_back(shown(*item));
                    if (n == 2) facts.push_back(p.facts());
                } catch (std::exception const& failure) {
                    items.push_back(std::string("error: ") + failure.what());
                }
            facts.push_back(p.facts());
            items.push_back("end");
            std::string left = "left";
            p.trailing().each([&](ps::interval i) { left += ps::message(" [", i.begin, ' ', i.end, ')'); });
            items.push_back(left);
        }
    }
};

test::items source(int n, std::uint32_t rank) { return ps::any(test::keyed_source(n, {rank, 2})); }
test::any_chain with(test::stage_kind const& kind, std::uint32_t rank) {
    test::surroundings const around{[rank] { return source(7, rank); }, nullptr, 2};
    auto c = test::any_chain(source(items, rank));
    if (kind.over_batches) c = ps::any(std::get<test::items>(std::move(c)) | ps::batch(2));
    return kind.put(std::move(c), (std::min)(kind.most, 2), around);
}
std::string text(std::vector<std::string> const& lines) {
    std::string all;
    for (auto const& l : lines) all += l + "; ";
    return all;
}

template <class T, class Make>
void check(std::string const& name, Make make) {
    for (std::uint32_t const rank : {0u, 1u}) {
        auto const plain = met<T>(make(rank));
        for (auto const& b : borders<T>()) {
            INFO(name << " | " << b.name << ", rank " << rank << " of 2");
            auto const behind = met<T>(b.put(make(rank)));
            CHECK(text(behind.items) == text(plain.items));
            CHECK((behind.facts == plain.facts));
        }
    }
}

}  // namespace

TEST_CASE("no border changes what a chain states or stands for", "[unit][borders]") {
    for (auto const& kind : test::stage_kinds()) {
        if (kind.does.unordered) continue;
        if (kind.gives_batches) {
            check<ps::batch_of<int>>(kind.name, [&](std::uint32_t rank) { return std::get<test::batches>(with(kind, rank)); });
            continue;
        }
        auto const make = [&](std::uint32_t rank) { return std::get<test::items>(with(kind, rank)); };
        check<ps::keyed<int>>(kind.name, make);
        check<ps::batch_of<int>>(kind.name + " | batch(2)", [&](std::uint32_t rank) { return ps::any(make(rank) | ps::batch(2)); });
        check<ps::batch_of<int>>(kind.name + " | batch(2, drop)", [&](std::uint32_t rank) { return ps::any(make(rank) | ps::batch(2, {.remainder = ps::remainder::drop})); });
    }
}
