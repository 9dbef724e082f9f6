// Implements: chain_maker, random chains of stages over keyed items, built as often as a test wants them.
#pragma once

#include <penstock/core/any_pipeline.hpp>  // defines: any, any_pipeline
#include <penstock/core/random.hpp>        // defines: random_stream
#include <penstock/penstock.hpp>
#include <support/sources.hpp>  // defines: debug_source, planned_source, as_keyed, source_spec

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock::test {

using chain_item = keyed<int>;
using chain = any_pipeline<chain_item>;

/// One stage as a chain may contain it: an argument from 1 to `most`, and how it is put behind a chain.
struct stage_kind {
    std::string name;
    int most;
    std::function<chain(chain, int)> put;
    bool ahead = false;         ///< it reads ahead of the stages behind it
    bool carries_over = false;  ///< its next epoch begins where this one was left, also if stages behind it left some unread
};

/// Every kind of stage that takes keyed<int> and yields keyed<int>, alone or with the stage that undoes it.
std::vector<stage_kind> const& stage_kinds();

/// What a random chain consists of. Equal recipes make equal chains.
struct recipe {
    struct step {
        std::size_t kind;
        int argument;
    };
    int items = 0;
    std::vector<int> errors{};
    std::vector<step> steps{};

    /// 1 to 8 stages over 0 to 24 items, up to 3 of which are broken in every second recipe.
    static recipe draw(std::uint64_t seed, std::uint64_t number) {
        random_stream random(seed, 0, number);
        auto below = [&](std::size_t n) { return static_cast<std::size_t>(random.below(static_cast<std::uint32_t>(n))); };
        recipe r;
        r.items = static_cast<int>(below(25));
        if (number % 2 != 0)
            for (auto k = below(4); k != 0; --k) r.errors.push_back(static_cast<int>(below(24)));
        for (auto k = 1 + below(8); k != 0; --k) {
            auto const kind = below(stage_kinds().size());
            r.steps.push_back({kind, 1 + static_cast<int>(below(static_cast<std::size_t>(stage_kinds()[kind].most)))});
        }
        return r;
    }

    chain make() const {
        source_spec spec{.n = items, .errors = errors};
        auto c = any(pipeline(planned_source<as_keyed<as_is>>(spec, as_keyed<as_is>{{}, items})));
        for (auto const& s : steps) c = stage_kinds()[s.kind].put(std::move(c), s.argument);
        return c;
    }
    bool carries_over() const {
        return std::ranges::any_of(steps, [](step const& s) { return stage_kinds()[s.kind].carries_over; });
    }
    std::string text() const {
        auto out = message(items, " items");
        if (!errors.empty()) out += ", broken:";
        for (auto e : errors) out += message(' ', e);
        for (auto const& s : steps) out += message(" | ", stage_kinds()[s.kind].name, '(', s.argument, ')');
        return out;
    }
};

}  // namespace penstock::test
