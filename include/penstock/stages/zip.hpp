// Implements: zip(a, b, ...), the items of several sources side by side.
#pragma once

#include <penstock/core/dropped.hpp>  // defines: dropped
#include <penstock/core/fan_in.hpp>   // defines: branches, fan_in, named_source, epoch, size_hint, state_*

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

namespace penstock {

/// How the sources of a zip order data that is shuffled: shards by shuffle_shards, numbers by permuted, samples by indexed.
enum class zip_order {
    same,  ///< alike: sources of equal shape (as many shards with as many samples each, as many items) yield equal places
    own,   ///< each by its name, so that a data set beside itself yields other samples
};

struct zip_options {
    zip_order order = zip_order::same;
};

template <source... S>
class [[nodiscard]] zip_stage : public fan_in<branches<S...>> {
    using all_of = branches<S...>;
    using values = std::tuple<value_of<typename S::item_type>...>;
    static constexpr bool keyed_at_all = (is_keyed<typename S::item_type> || ...);
    static constexpr std::size_t count = sizeof...(S);

public:
    using item_type = std::conditional_t<keyed_at_all, keyed<values>, values>;
    zip_stage(all_of all, zip_options o) : fan_in<all_of>{std::move(all), "zip"}, order_(o.order) {}

    std::optional<item_type> next() {
        while (at_ != ended) {
            std::tuple<std::optional<typename S::item_type>...> got;
            if (!pull<0>(got)) break;
            if (std::exchange(broken_, false)) drop(got);  // the tuple had lost an item in the call before
            else return joined(got, std::index_sequence_for<S...>{});
        }
        return std::nullopt;
    }
    void reset(epoch e)
        requires all_of::resets
    {
        refuse_recut(e, "zip", "zip on one rank when the data is written", "pairs items by their place, which is another one on other ranks");
        for (std::size_t i = 0; i != count; ++i)
            if (order_ == zip_order::same) this->in.reset_alike(i, e);
            else this->in.reset(i, e, e.index);
        at_ = 0;
        broken_ = false;
        dropped_ = {};
    }
    size_hint hint() const {
        if (at_ == ended) return {0, 0};
        auto least = this->in.hint(0);
        for (std::size_t i = 1; i != count; ++i) {
            auto const h = this->in.hint(i);
            least.lower = (std::min)(least.lower, h.lower);
            if (h.upper) least.upper = (std::min)(least.upper.value_or(*h.upper), *h.upper);
        }
        if (at_ != 0 && least.lower != 0) --least.lower;
        return least;
    }
    chain_facts facts() const {
        auto said = this->in.joint([](std::uint64_t a, std::uint64_t b) { return (std::min)(a, b); });
        said.whole = said.whole && !said.split;  // the items of a divided source are this rank's, whatever numbers them
        return std::move(said).cut_short();
    }
    void save(state_writer& w) const
        requires all_of::resumes
    {
        auto record = w.stage("zip", 2);
        record.put("order", static_cast<std::uint64_t>(order_)).put("at", at_).put("broken", broken_);
        dropped_.save(record);
        for (std::size_t i = 0; i != count; ++i) this->in.save(i, w);
    }
    void load(state_reader& r)
        requires all_of::resumes
    {
        auto const record = r.stage("zip", 2);
        if (record.get("order") != static_cast<std::uint64_t>(order_)) throw state_error("load: zip: saved with another order\n  HINT: build it with the options that were saved");
        at_ = static_cast<std::size_t>(record.get("at"));
        broken_ = record.get("broken") != 0;
        bool const inside = at_ != 0 && at_ != ended;
        if (at_ > ended || at_ == count || (at_ != ended && broken_ != inside))  // inside a tuple it only stands when an item of it is lost
            throw state_error(message("load: zip: cannot stand at source ", at_, " of ", count, broken_ ? "" : ", no item lost", "\n  HINT: the state is damaged; use an older checkpoint"));
        dropped_.load(record);
        for (std::size_t i = 0; i != count; ++i) this->in.load(i, r);
    }
    cover trailing() {
        auto all = dropped_.take();
        this->in.each([&](auto& s, std::size_t) { all.add(penstock::trailing(s)); });
        return all;
    }

private:
    static constexpr std::size_t ended = count + 1;

    /// Fills `got` from source at_ on. An exception leaves at_ behind the source that threw, so that the rest of its tuple is passed over next.
    template <std::size_t At, class Got>
    bool pull(Got& got) {
        if constexpr (At == count) {
            at_ = 0;
            return true;
        } else {
            if (At >= at_) {
                try {
                    if (auto item = std::get<At>(this->in.tuple()).next()) std::get<At>(got).emplace(std::move(*item));
                } catch (...) {
                    drop(got);
                    constexpr bool still_to_come = is_batch<typename std::tuple_element_t<At, std::tuple<S...>>::item_type>;  // what failed is an item of the batch
                    at_ = still_to_come ? At : At + 1 == count ? 0 : At + 1;
                    broken_ = at_ != 0;
                    throw;
                }
                if (!std::get<At>(got)) {
                    drop(got);
                    at_ = ended;
                    return false;
                }
            }
            return pull<At + 1>(got);
        }
    }
    template <class Got>
    void drop(Got const& got) {
        std::apply([&](auto const&... one) { ((one ? dropped_.add(*one) : void()), ...); }, got);
    }
    template <class Got, std::size_t... At>
    std::optional<item_type> joined(Got& got, std::index_sequence<At...>) {
        if constexpr (!keyed_at_all) return std::optional<item_type>(std::in_place, std::move(*std::get<At>(got))...);
        else {
            constexpr std::size_t first = [] {
                constexpr bool keyed_at[] = {is_keyed<typename S::item_type>...};
                return static_cast<std::size_t>(std::find(keyed_at, keyed_at + count, true) - keyed_at);
            }();
            cover all;
            auto add = [&](auto const& one) {
                if constexpr (is_keyed<std::remove_cvref_t<decltype(one)>>) all.add(one.cover);
            };
            (add(*std::get<At>(got)), ...);
            auto& who = *std::get<first>(got);
            std::optional<item_type> out(item_type{who.id, who.pass, std::move(all), std::move(who.key), who.weight, values(std::move(value(*std::get<At>(got)))...)});
            dropped_.join(*out);
            return out;
        }
    }

    zip_order order_;
    std::size_t at_ = 0;   // the source that is pulled next; behind the last: ended
    bool broken_ = false;  // an item of this tuple could not be made
    dropped dropped_;
};

namespace detail {

template <class... S>
auto zip_of(zip_options o, named_source<S>... all) {
    no_weights("zip", all...);
    return joined<branches<S...>>("zip", zip_stage<S...>(branches<S...>("zip", std::move(all)...), o));
}
template <class T>
concept no_zip_options = !std::same_as<std::remove_cvref_t<T>, zip_options>;

}  // namespace detail

/// Tuples of the first items, the second ones, and so on; ends with the shortest source. a | zip(b) is zip(a, b).
/// If a source is keyed the tuple is: it holds the values, has id, pass, key and weight of the first keyed source, and stands for the covers of all.
/// Pairs by place, whatever the keys are: join_by_key pairs by key. Put a shuffle(n) behind it: before it each draws by the name of its source.
///
/// Order    that of the sources, which is the same one for sources of equal shape, unless zip({.order = zip_order::own}, a, b) lets each go its own way;
///          an item that could not be made takes its partners with it, so pairs stay pairs
/// Buffers  nothing
/// Resume   exact, two integers beside the states of the sources; not in another world
/// Threads  none
/// Errors   forwards those of the sources, each once; the covers of the partners go with the next tuple. config_error for bad names
///
///     zip(range(3), from_vector<char>({'a', 'b'}))    // (0, a) (1, b)
template <class A, class B, class... More>
auto zip(zip_options o, A&& a, B&& b, More&&... more) {
    if constexpr (!detail::joinable<A, B, More...>()) return broken_chain{};
    else
        return detail::with_names([o](auto... all) { return detail::zip_of(o, std::move(all)...); }, std::forward<A>(a), std::forward<B>(b), std::forward<More>(more)...);
}
template <detail::no_zip_options A, detail::no_zip_options B, class... More>
auto zip(A&& a, B&& b, More&&... more) {
    return penstock::zip(zip_options{}, std::forward<A>(a), std::forward<B>(b), std::forward<More>(more)...);
}
template <class B>
auto zip(B&& b, zip_options o = {}) {
    if constexpr (!detail::joinable<B>()) return broken_chain{};
    else
        return stage("zip", [o, b = detail::as_named(std::forward<B>(b), 1)]<class S>(S input) mutable {
            return detail::zip_of(o, named_source<S>{"0", std::nullopt, std::move(input)}, std::move(b)).release();
        });
}

}  // namespace penstock
