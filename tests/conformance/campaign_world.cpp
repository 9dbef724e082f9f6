#include <conformance/campaign_world.hpp>

#include <penstock/concurrency/executor.hpp>
#include <penstock/sources/permuted.hpp>
#include <penstock/sources/planned_reader.hpp>
#include <penstock/sources/range.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/sources/shuffle_shards.hpp>
#include <penstock/sources/split_by_rank.hpp>

#include <support/fake_shards.hpp>

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

namespace penstock::test {

namespace {

template <class F>
decltype(auto) visit(any_chain& c, F f) {
    return std::visit([&](auto& p) -> decltype(auto) { return f(p); }, c);
}

/// What comes from source number `which`, told apart from the others by its positions and ids; the value is made of the id.
template <class S>
struct placed_stage : stage_over<S> {
    using stateless = void;
    using item_type = keyed<int>;
    std::uint64_t which;
    placed_stage(S before, std::uint64_t w) : stage_over<S>(std::move(before)), which(w) {}

    std::optional<item_type> next() {
        try {
            auto item = this->up.next();
            if (!item) return std::nullopt;
            auto const value = static_cast<int>(item->id + 100 * which);
            item->id += which * source_step;
            item->cover = placed(item->cover);
            return std::move(*item).with(value);
        } catch (stage_error& e) {
            e.positions = placed(e.positions);
            throw;
        }
    }
    bool discard() { return penstock::discard(this->up); }
    chain_facts facts() const { return facts_of(this->up); }
    cover trailing() { return placed(penstock::trailing(this->up)); }

private:
    cover placed(cover const& c) const {
        cover out;
        c.each([&](interval i) { out.add(interval{i.begin + which * source_step, i.end + which * source_step}); });
        return out;
    }
};

shard_plan plan_of(shards const& all, world w) {
    std::vector<std::string> names;
    std::vector<std::uint64_t> counts;
    for (std::size_t i = 0; i != all.all.size(); ++i) {
        names.push_back("s" + std::to_string(i));
        counts.push_back(all.all[i].planned);
    }
    auto plan = shard_list(names, {.counts = counts, .samples_per_epoch = all.samples_per_epoch, .repeat = all.repeat}) | split_by_rank(w);
    return all.shuffled ? plan | shuffle_shards() : plan;
}
fake_shards disk_of(shards const& all) {
    fake_shards format;
    for (std::size_t i = 0; i != all.all.size(); ++i) {
        auto const& s = all.all[i];
        format.disk->shards["s" + std::to_string(i)] = {.samples = s.there, .faulty = {s.faulty.begin(), s.faulty.end()}, .damaged_at = s.damaged_at, .missing = s.missing, .blocks_at = {}};
    }
    return format;
}
auto read(shards const& all, world w) {
    return plan_of(all, w) | plan_stage("read_fake", [format = disk_of(all)](shard_plan p) { return planned_reader<fake_shards>(std::move(p), format); });
}
items source(shards const& all, std::uint64_t which, world w) {
    auto const placed = stage_of<placed_stage>("placed", which);
    auto const n = static_cast<std::int64_t>(all.samples());
    if (!all.in_memory) return any(read(all, w) | placed);
    if (all.shuffled) return any(permuted(n) | split_by_rank(w) | placed);
    return any(range(n) | split_by_rank(w) | placed);
}

executor& pool() {
    static executor two(2);
    return two;
}

void tell(event& e, cover const& c) {
    e.cover = c;
    c.each([&](interval i) { e.text += message(" [", i.begin, ' ', i.end, ')'); });
}
event met(keyed<int> const& item) {
    event e{.text = message(item.id, '/', item.pass, '/', item.key, '/', item.weight, '=', item.value), .item = true};
    e.ids.push_back(item.id);
    tell(e, item.cover);
    return e;
}
event met(batch_of<int> const& b) {
    event e{.text = message('[', b.source, ' ', b.pass, ':'), .source = b.source, .item = true};
    for (std::size_t i = 0; i != b.size(); ++i) {
        e.text += message(' ', b.items[i]);
        if (i >= b.ids.size()) continue;
        e.text += message('/', b.ids[i], '/', b.weights[i]);
        if (b.ids[i] != padding) e.ids.push_back(b.ids[i]);
    }
    e.text += ']';
    tell(e, b.cover);
    return e;
}
event failed(std::exception const& failure) {
    event e{.text = message("error: ", failure.what())};
    if (auto const* const known = dynamic_cast<stage_error const*>(&failure)) tell(e, known->positions);
    return e;
}
template <class P>
void end(P& p, std::vector<event>& all) {
    event e{.text = "end", .end = true};
    tell(e, p.trailing());
    if (p.next()) e.text += ", and more behind it";
    if (!p.trailing().empty()) e.text += ", and told again";
    all.push_back(std::move(e));
}
constexpr std::size_t far_too_many = 20'000;
/// A rank whose share of every source is empty fails for ever, as it says.
void refuse_endless(std::vector<event> const& all) {
    constexpr std::size_t many = 600;  // a rank may have the items that fail alone, every one of them several times
    if (all.size() > many && std::all_of(all.end() - many, all.end(), [](event const& e) { return e.text.starts_with("error"); })) throw config_error("it fails for ever: " + all.back().text);
}

template <class Out>
std::string listed(std::vector<Out> const& all) {
    std::string text;
    for (auto const& one : all) text += message(text.empty() ? "" : " ", one);
    return text;
}

}  // namespace

std::uint64_t shards::samples() const {
    std::uint64_t n = 0;
    for (auto const& s : all) n += s.planned;
    return n;
}
std::string shards::text() const {
    if (in_memory) return message(samples(), shuffled ? " numbers, permuted" : " numbers");
    std::string out = message(all.size(), " shards:");
    for (auto const& s : all) {
        out += message(' ', s.planned);
        if (s.there != s.planned) out += message("(has ", s.there, ')');
        if (s.missing) out += "(missing)";
        if (s.damaged_at) out += message("(damaged at ", *s.damaged_at, ')');
        if (!s.faulty.empty()) out += message("(faulty ", listed(s.faulty), ')');
    }
    if (samples_per_epoch) out += message(", samples_per_epoch ", samples_per_epoch);
    if (repeat != 1) out += message(", repeat ", repeat);
    return out + (shuffled ? ", shuffled" : "");
}

std::string config::text() const {
    std::string out = message(ranks, " ranks, epochs ", first_epoch, " to ", first_epoch + epochs - 1);
    for (auto const& s : sources) out += message("\n    ", s.text());
    out += "\n    ";
    for (auto const& s : steps) out += message(" | ", stage_kinds()[s.kind].name, '(', s.argument, ')');
    return out;
}

config config::draw(std::uint64_t seed, std::uint64_t number) {
    random_stream random(seed, 10, number);
    auto below = [&](std::size_t n) { return static_cast<std::size_t>(random.below(static_cast<std::uint32_t>(n))); };
    auto chance = [&](std::size_t of) { return below(of) == 0; };
    config c;
    c.seed = seed;
    c.number = number;
    c.large = chance(25);
    c.first_epoch = below(3);
    c.epochs = 1 + below(3);
    c.ranks = static_cast<std::uint32_t>(1 + below(c.large ? 30 : 4));
    bool const damage = chance(2);
    auto shards_of = [&] {
        shards all;
        auto const longest = c.large ? 1 + below(80) : 1 + below(9);
        all.all.resize(1 + below(c.large ? 40 : 5));
        for (auto& s : all.all) s.planned = chance(5) ? 0 : below(longest + 1);
        all.all[below(all.all.size())].planned = longest;
        std::uint64_t sum = 0;
        for (auto& s : all.all) {
            sum += s.there = s.planned;
            if (!damage || s.planned == 0) continue;
            if (chance(12)) s.missing = true;
            if (chance(12)) s.damaged_at = below(s.planned);
            if (chance(15)) s.there = s.planned + 1;
            if (chance(15)) --s.there;
            for (auto k = chance(2) ? below(4) : 0; k != 0; --k) s.faulty.push_back(below(s.planned));
        }
        if (chance(4)) all.samples_per_epoch = 1 + below(2 * sum);
        else if (chance(6)) all.repeat = 2;
        all.shuffled = !chance(3);
        all.in_memory = chance(4);
        return all;
    };
    c.sources.push_back(shards_of());
    bool in_batches = false, counted = true;
    for (auto k = below(c.large ? 4 : 8); k != 0; --k) {
        auto const kind = below(stage_kinds().size());
        auto const& one = stage_kinds()[kind];
        if (one.over_batches != in_batches || (one.does.counted && !counted)) {
            ++k;
            continue;
        }
        if (one.does.joins && c.sources.size() == 5) continue;
        c.steps.push_back({kind, 1 + static_cast<int>(below(static_cast<std::size_t>(one.most)))});
        if (one.does.joins) c.sources.push_back(shards_of());
        in_batches = one.gives_batches;
        counted = counted && !one.does.uncounts;
    }
    return c;
}

any_chain config::make(world w, std::int64_t threads) const {
    std::size_t next = 1;
    surroundings const around{[&] {
                                  auto const which = next++;
                                  return source(sources[which], which, w);
                              },
                              &pool(), threads};
    any_chain c = source(sources.front(), 0, w);
    for (auto const& s : steps) c = stage_kinds()[s.kind].put(std::move(c), s.argument, around);
    return c;
}

/// Without one of the stages where the others still fit, or something simpler.
std::vector<config> config::smaller() const {
    std::vector<config> all;
    auto fits = [](config const& c) {
        bool in_batches = false, counted = true;
        for (auto const& s : c.steps) {
            auto const& kind = stage_kinds()[s.kind];
            if (kind.over_batches != in_batches || (kind.does.counted && !counted)) return false;
            in_batches = kind.gives_batches;
            counted = counted && !kind.does.uncounts;
        }
        return true;
    };
    auto changed = [&](auto f) {
        auto c = *this;
        f(c);
        if (fits(c)) all.push_back(std::move(c));
    };
    for (std::size_t i = 0; i != steps.size(); ++i) changed([&](config& c) {
            if (stage_kinds()[steps[i].kind].does.joins) {
                auto const source = 1 + std::count_if(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(i), [](step const& s) { return stage_kinds()[s.kind].does.joins; });
                c.sources.erase(c.sources.begin() + source);
            }
            c.steps.erase(c.steps.begin() + static_cast<std::ptrdiff_t>(i));
        });
    if (ranks > 1) changed([](config& c) { --c.ranks; });
    if (ranks > 4) changed([](config& c) { c.ranks /= 2; });
    if (epochs > 1) changed([](config& c) { --c.epochs; });
    if (first_epoch > 0) changed([](config& c) { c.first_epoch = 0; });
    for (std::size_t s = 0; s != sources.size(); ++s) {
        auto simpler = [&](auto f) { changed([&](config& c) { f(c.sources[s]); }); };
        if (sources[s].samples_per_epoch) simpler([](shards& one) { one.samples_per_epoch = 0; });
        if (sources[s].repeat != 1) simpler([](shards& one) { one.repeat = 1; });
        if (sources[s].shuffled) simpler([](shards& one) { one.shuffled = false; });
        for (std::size_t i = 0; i != sources[s].all.size(); ++i) {
            auto const& shard = sources[s].all[i];
            if (sources[s].all.size() > 1) simpler([&](shards& one) { one.all.erase(one.all.begin() + static_cast<std::ptrdiff_t>(i)); });
            if (shard.missing || shard.damaged_at || !shard.faulty.empty() || shard.there != shard.planned) simpler([&](shards& one) { one.all[i] = {.planned = shard.planned, .there = shard.planned}; });
            if (shard.planned > 1 && shard.there == shard.planned && shard.faulty.empty() && !shard.damaged_at) simpler([&](shards& one) { --one.all[i].planned, --one.all[i].there; });
        }
    }
    for (std::size_t i = 0; i != steps.size(); ++i)
        if (steps[i].argument > 1) changed([&](config& c) { --c.steps[i].argument; });
    return all;
}

bool config::any(bool traits::*what) const {
    return std::ranges::any_of(steps, [&](step const& s) { return stage_kinds()[s.kind].does.*what; });
}
bool config::level() const {
    bool level = false;
    for (auto const& s : steps) {
        auto const& does = stage_kinds()[s.kind].does;
        level = does.levels || (level && !does.tilts && !does.drops);
    }
    return level;
}
bool config::skips_passes() const {
    bool on = false, cycled = false;
    for (auto const& s : steps) {
        auto const& kind = stage_kinds()[s.kind];
        if (on && cycled && kind.does.cuts) return true;
        on = on || kind.does.goes_on;
        cycled = cycled || (on && kind.times == 0 && s.argument > 1);
    }
    return false;
}
bool config::threads() const {
    return std::ranges::any_of(steps, [](step const& s) { return stage_kinds()[s.kind].name.starts_with("p"); });
}
std::uint64_t config::times(std::size_t s) const {
    std::uint64_t n = 1, known = 1;
    for (auto const& one : steps) {
        auto const& kind = stage_kinds()[one.kind];
        known += kind.does.joins;
        if (known > s) n *= kind.times == 0 ? static_cast<std::uint64_t>(one.argument) : kind.times;
    }
    return n;
}
std::uint64_t config::epoch_length(std::size_t s) const { return sources[s].in_memory ? sources[s].samples() : plan_of(sources[s], {}).epoch_samples(); }

std::vector<std::uint64_t> config::ids(std::size_t s, std::uint64_t epoch) const {
    auto p = source(sources[s], s, {});
    auto e = penstock::epoch::of(seed, epoch);
    for (auto const& name : branches(s, true)) e = e.branch(name);
    p.reset(e);
    std::vector<std::uint64_t> all;
    while (true) try {
            auto item = p.next();
            if (!item) return all;
            all.push_back(item->id);
        } catch (stage_error const&) {
        }
}

std::vector<std::string> config::branches(std::size_t s, bool ordered) const {
    std::vector<std::string> all;
    auto source = sources.size();
    for (auto at = steps.rbegin(); at != steps.rend(); ++at) {
        auto const& kind = stage_kinds()[at->kind];
        if (!kind.does.joins || --source < s || (ordered && kind.does.in_step)) continue;
        all.push_back(source == s ? "other" : "main");
    }
    return all;
}
void config::commit(ledger& used, event const& e) const {
    e.cover.each([&](interval i) {
        auto const which = i.begin / source_step;
        std::string name;
        for (auto const& one : branches(static_cast<std::size_t>(which), false)) name += name.empty() ? one : '/' + one;
        used.commit(batch_of<int>{.cover = cover({i.begin % source_step, i.end - which * source_step}), .source = name});
    });
}

std::vector<event> pull(any_chain& chain, std::size_t most) {
    return visit(chain, [&](auto& p) {
        std::vector<event> all;
        while (all.size() != (std::min)(most, far_too_many)) try {
                auto item = p.next();
                if (item) all.push_back(met(*item));
                else {
                    end(p, all);
                    break;
                }
            } catch (config_error const&) {
                throw;
            } catch (std::exception const& e) {
                all.push_back(failed(e));
                refuse_endless(all);
            }
        return all;
    });
}
std::vector<event> pull_inside(any_chain& chain) {
    return visit(chain, [](auto& p) {
        std::vector<event> all;
        auto note = [&](auto&& item) {
            all.push_back(met(item));
            return all.size() < far_too_many;
        };
        while (all.size() < far_too_many) try {
                if (!p.for_each_while(note)) break;
                end(p, all);
                break;
            } catch (config_error const&) {
                throw;
            } catch (std::exception const& e) {
                all.push_back(failed(e));
                refuse_endless(all);
            }
        return all;
    });
}
void reset(any_chain& c, epoch e) {
    visit(c, [&](auto& p) { p.reset(e); });
}
void reset(any_chain& c, epoch e, ledger const& used) {
    visit(c, [&](auto& p) { p.reset(e, used); });
}
std::optional<std::uint64_t> world_max(any_chain const& c) {
    return std::visit([](auto const& p) { return p.world_max(); }, c);
}
state save(any_chain const& c) {
    return std::visit([](auto const& p) { return p.save(); }, c);
}
void load(any_chain& c, state const& s) {
    visit(c, [&](auto& p) { p.load(s); });
}
void load(any_chain& c, state const& s, ledger const& used) {
    visit(c, [&](auto& p) { p.load(s, used); });
}

}  // namespace penstock::test
