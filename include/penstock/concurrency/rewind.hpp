// Implements: detail::rewind, a stage that reads ahead goes back to where its consumer is.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message
#include <penstock/core/source.hpp>  // defines: source, resumable, reload

#include <string_view>

namespace penstock::detail {

/// Forgets what `stage` made and its consumer did not take, and places its source S where he stands: what it yields from here on is made anew, after
/// whatever the caller changed. Costs what a load costs. Where S cannot be placed, a config_error if anything is `ahead`.
template <source S, class Stage>
void rewind(Stage& stage, std::string_view name, bool ahead) {
    if constexpr (resumable<S>) reload(stage);
    else if (ahead)
        throw config_error(message(name, ": what was read ahead must be made anew, but the stages before it cannot be placed where the consumer is"
                                   "\n  HINT: give the source save and load, or put ", name, " behind the stage that ends the epoch or reads the control"));
}

}  // namespace penstock::detail
