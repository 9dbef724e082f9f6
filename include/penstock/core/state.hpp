// Implements: state, a saved position as flat records; its writer, its reader and its text form.
#pragma once

#include <penstock/core/errors.hpp>  // defines: state_error, message

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// What one stage saved: its name, the version of its layout, and numbers by name.
struct state_record {
    /// What a number is about. The text form leaves it out: it is asked of a state that a pipeline has just told.
    enum class about : unsigned char {
        position,  ///< where the stage stands
        data,      ///< which data it reads, and in which order
        counts,    ///< the same, found out while it was read
    };
    struct number {
        std::string name;
        std::uint64_t value = 0;
        about what = about::position;
        friend bool operator==(number const& a, number const& b) { return a.name == b.name && a.value == b.value; }
    };
    std::string stage;
    int version = 0;
    std::vector<number> numbers{};
    bool nested = false;  ///< belongs to the stage of the record before it; not in the text form

    friend bool operator==(state_record const& a, state_record const& b) { return a.stage == b.stage && a.version == b.version && a.numbers == b.numbers; }
};

/// Where a pipeline stands: one record per stage, the source first. Payload-free. Equal states continue with equal items.
class state {
public:
    std::vector<state_record> records;

    /// Stages as `name#k`, k counting equal names from the source.
    std::string path(std::size_t record) const {
        std::size_t before = 0;
        for (std::size_t i = 0; i != record; ++i) before += records[i].stage == records[record].stage;
        return message(records[record].stage, '#', before);
    }

    /// The text form, version 1: a heading, then one line `stage version name=value ...` per record.
    std::string text() const {
        auto out = std::string(heading);
        for (auto const& r : records) {
            out += '\n';
            out += r.stage;
            out += ' ';
            out += std::to_string(r.version);
            for (auto const& n : r.numbers) {
                out += ' ';
                out += n.name;
                out += '=';
                out += std::to_string(n.value);
            }
        }
        out += '\n';
        return out;
    }
    static state parse(std::string_view text) {
        state out;
        std::size_t line_number = 0;
        while (!text.empty()) {
            auto const cut = text.find('\n');
            if (cut == text.npos) throw state_error(message("state: line ", line_number + 1, " is cut off\n  HINT: the file was truncated; use an older checkpoint"));
            auto line = text.substr(0, cut);
            text.remove_prefix(cut + 1);
            if (line_number++ == 0) {
                if (line != heading) throw state_error(message("state: expected '", heading, "', found '", line.substr(0, 40), "'\n  HINT: it was saved by another version, or is no state"));
                continue;
            }
            auto word = [&] {
                auto const end = line.find(' ');
                auto const w = line.substr(0, end);
                line.remove_prefix(end == line.npos ? line.size() : end + 1);
                return w;
            };
            state_record r;
            r.stage = word();
            r.version = static_cast<int>(parse_number(word(), line_number));
            while (!line.empty()) {
                auto const w = word();
                auto const eq = w.find('=');
                if (eq == w.npos) throw state_error(message("state: line ", line_number, ": expected name=number, found '", w.substr(0, w.find('\0')), '\'', damaged));
                r.numbers.push_back({std::string(w.substr(0, eq)), parse_number(w.substr(eq + 1), line_number)});
            }
            out.records.push_back(std::move(r));
        }
        if (line_number == 0) throw state_error("state: empty text\n  HINT: the file was truncated; use an older checkpoint");
        return out;
    }

    friend bool operator==(state const&, state const&) = default;

private:
    static constexpr std::string_view heading = "penstock-state 1";
    static constexpr auto damaged = "\n  HINT: the state is damaged; use an older checkpoint";

    static std::uint64_t parse_number(std::string_view text, std::size_t line) {
        std::uint64_t n = 0;
        auto const [end, why] = std::from_chars(text.data(), text.data() + text.size(), n);
        if (why != std::errc{} || end != text.data() + text.size()) throw state_error(message("state: line ", line, ": expected a number, found '", text.substr(0, text.find('\0')), '\'', damaged));
        return n;
    }
};

/// What save() writes into: `w.stage("take", 1).put("left", left)`.
class state_writer {
public:
    explicit state_writer(state& out) : out_(&out) {}
    /// Takes records from `spare` while it has some: writing a state of the same chain again then allocates nothing.
    state_writer(state& out, std::vector<state_record>& spare) : out_(&out), spare_(&spare) {}

    class record {
    public:
        record(state_record& r, bool counts) : r_(&r), counts_(counts) {}
        record& put(std::string_view name, std::uint64_t value) {
            r_->numbers.push_back({std::string(name), value});
            return *this;
        }
        /// A number that tells one data set, or one order of it, from another.
        record& identify(std::string_view name, std::uint64_t value) {
            r_->numbers.push_back({std::string(name), value, counts_ ? state_record::about::counts : state_record::about::data});
            return *this;
        }

    private:
        state_record* r_;
        bool counts_;
    };

    /// A new record after those of the stages before; valid until the next one.
    record stage(std::string_view name, int version) {
        auto& r = added(name, version);
        r.numbers.clear();
        return {r, counts_};
    }
    /// The records of a snapshot that the same chain made earlier through a writer without a branch, in place of the live ones.
    void append(state const& snapshot) {
        for (auto const& r : snapshot.records) {
            auto& to = added(r.stage, r.version);
            to.numbers = r.numbers;
            to.nested = r.nested;
        }
    }

    /// A writer whose records are named `branch/stage`; a fan-in saves each of its inputs through one.
    state_writer branch(std::string_view name) const {
        auto w = *this;
        w.branch_ += std::string(name) + '/';
        return w;
    }
    /// A branch whose data were counted while they were read, so that what identifies them is not known from the start.
    state_writer counted_branch(std::string_view name) const {
        auto w = branch(name);
        w.counts_ = true;
        return w;
    }

private:
    state_record& added(std::string_view name, int version) {
        if (spare_ != nullptr && !spare_->empty()) {
            out_->records.push_back(std::move(spare_->back()));
            spare_->pop_back();
        } else out_->records.emplace_back();
        auto& r = out_->records.back();
        r.stage.assign(branch_).append(name);
        r.version = version;
        r.nested = counts_;
        return r;
    }

    state* out_;
    std::vector<state_record>* spare_ = nullptr;
    std::string branch_;
    bool counts_ = false;
};

/// What load() reads from, in the order of save(): `left = r.stage("take", 1).get("left")`. Throws state_error at the first difference.
class state_reader {
public:
    explicit state_reader(state const& in) : in_(&in), next_(&own_) {}
    state_reader(state_reader const&) = delete;

    class record {
    public:
        record(state_record const& r, std::string path) : r_(&r), path_(std::move(path)) {}
        std::uint64_t get(std::string_view name) const {
            for (auto const& n : r_->numbers)
                if (n.name == name) return n.value;
            throw state_error(message("load: ", path_, " holds no '", name, "'\n  HINT: it was saved by another version of this stage"));
        }

    private:
        state_record const* r_;
        std::string path_;
    };

    record stage(std::string_view name, int version) {
        auto const wanted = branch_ + std::string(name);
        auto const hint = "\n  HINT: build the same chain, in the same order, as the one that was saved";
        if (*next_ == in_->records.size()) throw state_error(message("load: the chain has ", wanted, " where the saved state ends", hint));
        auto const at = (*next_)++;
        auto const& r = in_->records[at];
        if (r.stage != wanted) throw state_error(message("load: the saved state has ", in_->path(at), " where the chain has ", wanted, hint));
        if (r.version != version)
            throw state_error(message("load: ", in_->path(at), " was saved in layout ", r.version, ", this is layout ", version, "\n  HINT: finish the run with the version that saved it"));
        return {r, in_->path(at)};
    }
    /// To be called once at the end: a state with stages that the chain lacks is refused.
    void finish() const {
        if (*next_ != in_->records.size())
            throw state_error(message("load: the saved state has ", in_->path(*next_), " where the chain ends\n  HINT: build the same chain, in the same order, as the one that was saved"));
    }
    state_reader branch(std::string_view name) { return {*in_, next_, branch_ + std::string(name) + '/'}; }

private:
    state_reader(state const& in, std::size_t* next, std::string branch) : in_(&in), next_(next), branch_(std::move(branch)) {}

    state const* in_;
    std::size_t own_ = 0;
    std::size_t* next_;  // branches advance the cursor of the reader they came from
    std::string branch_;
};

}  // namespace penstock
