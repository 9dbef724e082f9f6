// Implements: as_view(pipeline), a pipeline as a view that range-v3 takes by value; as_view() ends a chain with one.
#pragma once

#ifdef __CUDACC__
#error "penstock/ranges/ cannot be compiled by nvcc, which does not take range-v3. HINT: include it in a .cpp file"
#endif

#include <penstock/core/errors.hpp>    // defines: config_error
#include <penstock/core/pipeline.hpp>  // defines: pipeline
#include <penstock/core/stage.hpp>     // defines: terminal, broken_chain

#include <range/v3/range_fwd.hpp>

#include <iterator>
#include <memory>
#include <string_view>
#include <utility>

namespace penstock {

/// A pipeline behind a shared pointer: views of range-v3 must be copyable, pipelines only move. Copies share one position.
///
/// An iterator is good as long as a copy of the view is, and an adaptor holds one. `chain()` is the pipeline: reset it for the next
/// epoch, save its position. A default-made view, which range-v3 asks for, is there to be assigned to.
template <source S>
class [[nodiscard("a chain does nothing until it is pulled")]] pipeline_view : public ::ranges::view_base, public std::ranges::view_base {
public:
    using item_type = typename S::item_type;

    pipeline_view() = default;
    explicit pipeline_view(pipeline<S> chain) : chain_(std::make_shared<pipeline<S>>(std::move(chain))) {}

    auto begin() const { return chain().begin(); }
    std::default_sentinel_t end() const { return {}; }

    pipeline<S>& chain() const {
        if (!chain_) throw config_error("as_view: this view was made without a pipeline\n  HINT: assign one to it: v = as_view(std::move(p))");
        return *chain_;
    }

private:
    std::shared_ptr<pipeline<S>> chain_;
};

/// The pipeline as a copyable view, for range-v3 and for the standard library. A named pipeline is a range already, and needs this only to be
/// handed over: as_view(std::move(p)).
///
/// Order    unchanged
/// Buffers  one item, the one that is looked at; take(k) takes k and no more
/// Resume   view.chain().save(), once the item that was looked at has been read
/// Threads  none
/// Errors   those of the chain come out of *it, == and ++; the next look goes on behind them. config_error for a view without a pipeline
///
///     range(4) | as_view() | ranges::views::chunk(2) | ranges::to<std::vector<std::vector<std::int64_t>>>()    // {{0, 1}, {2, 3}}
inline auto as_view() {
    return terminal([]<class S>(pipeline<S> chain) { return pipeline_view<S>(std::move(chain)); });
}
template <source S>
auto as_view(pipeline<S>&& chain) {
    return pipeline_view<S>(std::move(chain));
}
template <source S>
auto as_view(pipeline<S>&) {
    static_assert(!source<S>, "as_view(p): p is a named pipeline, which only moves. HINT: as_view(std::move(p)), or use p itself: a named pipeline is a range");
    return broken_chain{};
}

}  // namespace penstock
