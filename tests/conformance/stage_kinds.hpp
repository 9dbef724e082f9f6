// Implements: stage_kinds(), the table of stages that random chains are made of: how each is put behind a chain, and what it does to the promises.
#pragma once

#include <penstock/core/any_pipeline.hpp>  // defines: any, any_pipeline
#include <penstock/core/batch_type.hpp>    // defines: batch_of, keyed

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace penstock {
class executor;
}

namespace penstock::test {

using items = any_pipeline<keyed<int>>;
using batches = any_pipeline<batch_of<int>>;
/// A chain under construction, of single items or of batches.
using any_chain = std::variant<items, batches>;

/// What a stage is put into, beside the chain.
struct surroundings {
    std::function<items()> other;     ///< another source, for stages with several inputs
    penstock::executor* pool = nullptr;
    std::int64_t threads = 1;
};

/// What may be asked of a chain with this stage in it. Without any: every position is accounted for and every sample delivered once, in every world.
struct traits {
    bool drops = false;      ///< samples may be left out; their positions are not
    bool repeats = false;    ///< samples may come more than once, or under another id
    bool again = false;      ///< samples of an item that was delivered in part come again in another world
    bool cuts = false;       ///< the end of the epoch may never be read
    bool uncounts = false;   ///< nobody knows the number of items behind it
    bool counted = false;    ///< wants to know the number of items before it
    bool here = false;       ///< refuses to go on in another world
    bool goes_on = false;    ///< its next epoch begins where this one was left
    bool unordered = false;  ///< the order is another one in every run
    bool joins = false;      ///< has another source
    bool in_step = false;    ///< whose order is that of the first
    bool levels = false;     ///< behind it every rank has equally many items, where their number is known
    bool tilts = false;      ///< and no more
};

struct stage_kind {
    std::string name;
    int most;  ///< arguments are 1 to this
    bool over_batches, gives_batches;
    std::function<any_chain(any_chain, int, surroundings const&)> put;
    traits does{};
    std::uint64_t times = 1;  ///< the stages before it are read so many times per epoch: the argument, if 0
};

std::vector<stage_kind> const& stage_kinds();

}  // namespace penstock::test
