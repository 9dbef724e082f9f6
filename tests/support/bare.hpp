// Implements: bare(), a stage for tests that takes the identity from keyed items, where the battery's books of covers do not apply.
#pragma once

#include <penstock/core/stage.hpp>  // defines: stage_of, stage_over, value, value_of

#include <optional>
#include <utility>

namespace penstock::test {

template <class S>
struct bare_stage : stage_over<S> {
    using stateless = void;
    using item_type = value_of<typename S::item_type>;
    using stage_over<S>::stage_over;
    std::optional<item_type> next() {
        auto item = this->up.next();
        if (!item) return std::nullopt;
        return std::optional<item_type>(std::move(value(*item)));
    }
};
inline auto bare() { return stage_of<bare_stage>("bare"); }

}  // namespace penstock::test
