// Implements: from_vector(v), the elements of a vector that the source owns.
#pragma once

#include <penstock/core/stage.hpp>  // defines: pipeline, epoch, size_hint, state_*, write_back

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

namespace penstock {

template <class T>
class vector_source {
    static constexpr bool copies = std::copy_constructible<T>;

public:
    using item_type = T;
    static constexpr char const* name = "from_vector";
    explicit vector_source(std::vector<T> items) : items_(std::move(items)) {}

    std::optional<T> next() {
        if (i_ == items_.size()) return std::nullopt;
        return std::optional<T>(taken(i_++));
    }
    bool discard() { return i_ != items_.size() && ++i_; }
    void reset(epoch)
        requires copies
    {
        i_ = 0;
    }
    size_hint hint() const { return {items_.size() - i_, items_.size() - i_}; }
    chain_facts facts() const { return whole_of(size()); }
    std::uint64_t size() const { return items_.size(); }
    T item(std::uint64_t number) const
        requires copies
    {
        return items_[static_cast<std::size_t>(number)];
    }
    void save(state_writer& w) const { w.stage(name, 1).identify("size", items_.size()).put("at", i_); }
    void load(state_reader& r) {
        auto const record = r.stage(name, 1);
        auto const size = record.get("size"), at = record.get("at");
        if (size != items_.size() || at > size)
            throw state_error(message("load: from_vector: saved at ", at, " of ", size, ", this one has ", items_.size(), "\n  HINT: build the chain over the vector that was saved"));
        i_ = static_cast<std::size_t>(at);
    }
    template <class F>
    bool for_each_while(F& f) {
        auto i = i_;
        write_back on_exit{i_, i};
        while (i != items_.size())
            if (!f(taken(i++))) return false;
        return true;
    }

private:
    T taken(std::size_t i) {
        if constexpr (copies) return items_[i];
        else return std::move(items_[i]);
    }

    std::vector<T> items_;
    std::size_t i_ = 0;
};

/// The elements of `items`, copied one by one, in every epoch; elements that cannot be copied are moved out, once.
///
/// Order    the vector's
/// Buffers  the vector
/// Resume   exact, one integer; the vector itself is not saved; in another world with split_by_rank right behind it
/// Threads  none
/// Errors   what copying an element throws
///
///     from_vector({10, 20, 30}) | collect()    // 10 20 30
template <class T>
auto from_vector(std::vector<T> items) {
    return pipeline(vector_source<T>(std::move(items)));
}
template <class T>
auto from_vector(std::initializer_list<T> items) {
    return from_vector(std::vector<T>(items));
}

}  // namespace penstock
