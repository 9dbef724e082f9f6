// Implements: control<T>, a value that the consumer changes while a chain runs, and from which item on a stage goes by it.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, state_error, message
#include <penstock/core/state.hpp>   // defines: state_writer, state_reader

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock {

/// A value of at most 8 bytes that stages read and the consumer sets: which sources to mix, how much to augment, when to stop early.
/// A handle: copies share the value. It is changed by pipeline::set between two items, and holds from the very next item on, whatever a
/// prefetch had read ahead; items that a shuffle holds at that moment keep the old value. Positions are counted in items, so ranks that set
/// it after the same number of batches change at the same batch, and a saved state brings every change back at its place.
///
///     ps::control<int> difficulty("difficulty", 0);
///     auto p = source | ps::steer(difficulty, [](int level, auto item) { ... }) | ps::prefetch(8);
///     p.set(difficulty, 1);
template <class T>
class control {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8, "control<T>: T must be a number, an enum or a trivial struct of at most 8 bytes. HINT: hold an index into a table of larger values");

public:
    /// `name` is for the saved state and for messages.
    control(std::string name, T value) : name_(std::move(name)), bits_(std::make_shared<std::uint64_t>(pack(value))) {
        for (char const c : name_.empty() ? std::string(" ") : name_)
            if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f' || c == '/')
                throw config_error(message("control(name, value): name must be a word without spaces and '/', got '", name_, "'\n  HINT: it names the control in saved states: write learning_phase"));
    }

    T value() const { return unpack(*bits_); }
    std::string const& name() const { return name_; }

    static std::uint64_t pack(T value) {
        std::uint64_t bits = 0;
        std::memcpy(&bits, &value, sizeof value);
        return bits;
    }
    static T unpack(std::uint64_t bits) {
        T value;
        std::memcpy(&value, &bits, sizeof value);
        return value;
    }

    /// The value itself; for pipeline and steering.
    std::shared_ptr<std::uint64_t> const& bits() const { return bits_; }

private:
    std::string name_;
    std::shared_ptr<std::uint64_t> bits_;
};

/// What a stage knows of one control: the value of every item, by a number that counts on over epochs and over the passes of a cycle. Only the
/// consumer changes it, by way of the pipeline, and only while no thread works on the stage.
class control_log {
public:
    control_log(std::string name, std::shared_ptr<std::uint64_t> newest) : name_(std::move(name)), newest_(std::move(newest)), changes_{{0, *newest_}} {}

    bool reads(std::shared_ptr<std::uint64_t> const& value) const { return newest_ == value; }
    /// The control was given a value that no item goes by yet.
    bool outdated() const { return changes_.back().bits != *newest_; }
    /// The newest value holds from item `from` on.
    void adopt(std::uint64_t from) {
        if (!outdated()) return;
        if (changes_.back().from == from) changes_.back().bits = *newest_;
        else changes_.push_back({from, *newest_});
    }
    /// So many changes that it is worth asking which of them nobody needs any more.
    bool grown() const { return changes_.size() >= 8; }
    /// Items before `from` will not be made again.
    void forget_before(std::uint64_t from) {
        while (changes_.size() > 1 && changes_[1].from <= from) changes_.erase(changes_.begin());
    }
    std::uint64_t at(std::uint64_t item) const {
        auto i = changes_.size() - 1;
        while (i != 0 && changes_[i].from > item) --i;
        return changes_[i].bits;
    }

    void save(state_writer& w) const {
        auto record = w.stage("control." + name_, 1);
        record.put("changes", changes_.size());
        for (std::size_t i = 0; i != changes_.size(); ++i) record.put("from" + std::to_string(i), changes_[i].from).put("value" + std::to_string(i), changes_[i].bits);
    }
    void load(state_reader& r) {
        auto const record = r.stage("control." + name_, 1);
        changes_.clear();
        for (std::uint64_t i = 0, n = record.get("changes"); i != n; ++i)
            changes_.push_back({record.get("from" + std::to_string(i)), record.get("value" + std::to_string(i))});
        if (changes_.empty()) throw state_error(message("load: control.", name_, " has no value\n  HINT: the state is damaged; use an older checkpoint"));
        *newest_ = changes_.back().bits;
    }

private:
    struct change {
        std::uint64_t from, bits;
    };
    std::string name_;
    std::shared_ptr<std::uint64_t> newest_;  // of the control
    std::vector<change> changes_;  // ascending, never empty; the first one holds for all items before the second
};

/// A stage's end of a control: the values of the items, by number.
template <class T>
class steering : public control_log {
public:
    explicit steering(control<T> const& c) : control_log(c.name(), c.bits()) {}
    T value(std::uint64_t item) const { return control<T>::unpack(at(item)); }
};

/// Visits the steered stages of a chain. Stages that read ahead go back to where the consumer is first, if `moves`.
class control_walk {
public:
    explicit control_walk(bool moves) : moves_(moves) {}
    bool moves() const { return moves_; }
    /// Called by a steered stage; its next item has number `item`, to be looked at only if `moves` or right after a reset of every source, as a thread may be counting.
    /// A stage that writes that number as `item` of the first record of its own gives the name of the record: changes that no item needs are then forgotten.
    virtual void operator()(control_log& log, std::uint64_t const& item, std::string_view record = {}) = 0;

protected:
    ~control_walk() = default;

private:
    bool moves_;
};

/// Reads controls, or has stages before it that do.
template <class S>
concept steered = requires(S const& s, control_walk& w) { s.controls(w); };

}  // namespace penstock
