// Implements: in_memory, a source that has its items by number, and dealt_source, what split_by_rank makes of one: every rank its part, of items with an identity.
#pragma once

#include <penstock/core/blame.hpp>           // defines: blame
#include <penstock/core/facts.hpp>           // defines: chain_facts, share_of
#include <penstock/core/keyed.hpp>           // defines: keyed, is_keyed, cover
#include <penstock/core/source.hpp>          // defines: source, size_hint, epoch, state_writer, state_reader
#include <penstock/sources/dealt_epoch.hpp>  // defines: dealt_epoch, interval, world

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace penstock {

/// A source that holds size() items in every epoch and makes any of them by its number. One with an order of its own has also arrange(line, pass) and
/// number(place), which tells what stands at a place of that pass; without these item i stands at place i.
template <class S>
concept in_memory = source<S> && requires(S const& s, std::uint64_t i) {
    { S::name } -> std::convertible_to<char const*>;
    { s.size() } -> std::same_as<std::uint64_t>;
    { s.item(i) } -> std::same_as<typename S::item_type>;
};

/// The items of a source in memory as the samples of a line: position = epoch * size + place. What is left of an epoch is dealt over the ranks one by one.
/// An item that is keyed already keeps its id and key; of any other both are its number.
template <in_memory S>
class [[nodiscard]] dealt_source {
    using item = typename S::item_type;

public:
    using item_type = std::conditional_t<is_keyed<item>, item, keyed<item>>;

    dealt_source(S held, world w) : held_(std::move(held)), line_{held_.size()}, world_(w), deal_(w) {
        if (line_.size > std::uint64_t{1} << 48)
            throw config_error(message("split_by_rank: at most 2^48 items can be dealt, ", S::name, " has ", line_.size, "\n  HINT: positions of all epochs together must be numbers of 64 bits"));
        reset(epoch{});
    }

    std::optional<item_type> next() {
        if (deal_.ended()) return std::nullopt;
        auto const at = deal_.position();
        deal_.pass();  // one that fails is passed as well
        auto const number = number_at(at);
        if constexpr (is_keyed<item>) {
            auto out = held_.item(number);
            out.pass = deal_.index();
            out.cover = cover::at(at);
            return out;
        } else {
            struct nothing {};
            auto who = keyed<nothing>{number, deal_.index(), cover::at(at), std::to_string(number), 1, {}};
            auto value = blame(S::name, who, [&] { return held_.item(number); });
            return item_type{number, who.pass, std::move(who.cover), std::move(who.key), 1, std::move(value)};
        }
    }
    bool discard() {
        if (deal_.ended()) return false;
        deal_.pass();
        return true;
    }

    void reset(epoch e) {
        if (held_.size() != line_.size)
            throw stage_error(S::name, fault::content, {}, message("it had ", line_.size, " items when the chain was built, and has ", held_.size(), " now"), "build the chain anew over data that grew: positions of earlier epochs would mean other items");
        key_ = e.line;
        deal_.begin(line_, e);
        arrange();
    }
    size_hint hint() const { return {deal_.left(), deal_.left()}; }
    chain_facts facts() const { return share_of(deal_.all(), world_); }

    void save(state_writer& w) const {
        auto r = w.stage(record(), 1);
        r.identify("size", line_.size).put("rank", world_.rank).put("world", world_.size).put("key", key_);
        deal_.save(r);
    }
    void load(state_reader& reader) {
        auto const r = reader.stage(record(), 1);
        auto const differ = [](std::string_view what, std::uint64_t saved, std::uint64_t here, std::string_view hint) {
            if (saved != here) throw state_error(message("load: ", S::name, ": the state was saved with ", what, " ", saved, ", here it is ", here, "\n  HINT: ", hint));
        };
        differ("number of items", r.get("size"), line_.size, "build the chain over the data of the run that saved it");
        differ("world size", r.get("world"), world_.size, "start as many ranks as the run that saved it had, or give its ledger to reset(epoch, ledger)");
        differ("rank", r.get("rank"), world_.rank, "each rank loads its own state");
        key_ = r.get("key");
        deal_.load(r, line_, S::name);
        arrange();
    }

private:
    struct line_of_epochs {
        std::uint64_t size;
        interval window(std::uint64_t index) const { return {index * size, (index + 1) * size}; }
    };
    static std::string record() { return std::string(S::name) + ".split_by_rank"; }
    void arrange() {
        if constexpr (requires { held_.arrange(key_, deal_.index()); }) held_.arrange(key_, deal_.index());
    }
    std::uint64_t number_at(std::uint64_t position) const {
        auto const place = position - line_.window(deal_.index()).begin;
        if constexpr (requires { held_.number(place); }) return held_.number(place);
        else return place;
    }

    S held_;
    line_of_epochs line_;
    world world_;
    detail::dealt_epoch deal_;
    std::uint64_t key_ = 0;
};

}  // namespace penstock
