// Looks at the shards of a data set before a training run does: what is damaged, what is odd, and how many batches each rank would get.
//
//   shards --> headers --> damage, keys, fields, sizes
//                     \--> counts --> WebDataset's splits | penstock's plan
//
//   penstock-doctor 'data/train-{000..127}.tar' --world 8 --batch 32
#include "arguments.hpp"
#include "checkup.hpp"
#include "splits.hpp"

#include <penstock/formats/build_index.hpp>      // defines: verify_index, fresh_block
#include <penstock/formats/parallel_shards.hpp>  // defines: for_each_shard
#include <penstock/formats/shard_counts.hpp>     // defines: shard_counts, scan_shards
#include <penstock/formats/shard_progress.hpp>   // defines: grouped, readable_bytes, progress_meter, print_progress
#include <penstock/sources/describe_plan.hpp>    // defines: describe_plan, shard_plan

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ps = penstock;
using ps::detail::grouped;
using ps::detail::readable_bytes;

namespace {

constexpr char const* help = R"(usage: penstock-doctor SHARDS... [--world N] [--batch N] [--workers N] [--plan] [--verify] [--threads N]

Reads the headers of tar shards and says what a training run would meet.

  SHARDS       names, patterns or directories: 'data/train-{000..127}.tar', 'data/*.tar', data/, @names.txt
  --world N    ranks of the run (default 8)
  --batch N    samples per rank and step (default 32)
  --workers N  DataLoader workers per rank, for WebDataset's split (default 1)
  --plan       also say which shards each rank reads
  --verify     also compare every field with its checksum (penstock-index build --crc); a shard without any is a problem
  --threads N  shards that are read at the same time (default 4)

Exit status: 0 nothing is wrong, 1 something is (damage, a file missing, what no sample gets, a wrong count), 2 the question was wrong.
)";

std::string percent(std::uint64_t part, std::uint64_t whole) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f %%", whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
    return text;
}
std::string counted(std::uint64_t n, std::string const& one) { return grouped(n) + " " + one + (n == 1 ? "" : "s"); }
void say(std::string const& line = {}) { std::printf("%s\n", line.c_str()); }
std::string padded(std::string const& text, std::size_t width) { return std::string(text.size() < width ? width - text.size() : 0, ' ') + text; }

/// Lines of at most `width` characters, each after `indent` spaces; those of a list are indented below its dash.
void paragraph(std::string const& text, std::size_t indent = 2, std::size_t width = 100) {
    auto line = std::string(indent, ' ');
    if (text.starts_with("- ")) {
        line += '-';
        indent += 2;
    }
    std::size_t at = text.starts_with("- ") ? 2 : 0;
    while (at < text.size()) {
        auto const end = (std::min)(text.find(' ', at), text.size());
        auto const word = text.substr(at, end - at);
        if (line.size() > indent && line.size() + word.size() + 1 > width) {
            say(line);
            line.assign(indent, ' ');
        }
        line += (line.empty() || line.back() == ' ' ? "" : " ") + word;
        at = end + 1;
    }
    if (line.size() > indent) say(line);
}

/// Lists the first few and says how many more there are.
template <class List, class F>
void first_of(List const& list, std::size_t most, F print) {
    for (std::size_t i = 0; i != list.size() && i != most; ++i) print(list[i]);
    if (list.size() > most) say("    and " + grouped(list.size() - most) + " more");
}

struct report {
    std::uint64_t problems = 0;
    std::vector<std::string> notes{};
};

void overview(std::vector<tools::shard_checkup> const& shards) {
    std::uint64_t samples = 0, bytes = 0;
    auto sizes = std::vector<std::uint64_t>{};
    auto fields = std::map<std::string, tools::field_sizes>{};
    for (auto const& s : shards) {
        samples += s.samples;
        bytes += s.bytes;
        sizes.push_back(s.samples);
        for (auto const& [name, f] : s.fields) {
            fields[name].count += f.count;
            fields[name].bytes += f.bytes;
        }
    }
    std::sort(sizes.begin(), sizes.end());
    say("  " + counted(shards.size(), "shard") + ", " + readable_bytes(bytes) + ", " + counted(samples, "sample"));
    say("  samples per shard: " + grouped(sizes.front()) + " to " + grouped(sizes.back()) + ", median " + grouped(sizes[sizes.size() / 2]));
    auto line = std::string{};
    for (auto const& [name, f] : fields)
        line += (line.empty() ? "fields: " : ", ") + name + " (" + (f.count == samples ? "" : "in " + percent(f.count, samples) + " of the samples, ") + readable_bytes((f.bytes + f.count / 2) / (std::max<std::uint64_t>)(f.count, 1)) + ")";
    paragraph(line);
}

void epoch(std::vector<tools::shard_checkup> const& shards, std::uint64_t world, std::uint64_t batch, std::uint64_t workers, report& out) {
    auto sizes = std::vector<std::uint64_t>{};
    std::uint64_t samples = 0;
    bool damaged = false;
    for (auto const& s : shards) {
        sizes.push_back(s.samples);
        samples += s.samples;
        damaged = damaged || !s.damage.empty();
    }
    say();
    say("An epoch on " + counted(world, "rank") + " in batches of " + grouped(batch) + (damaged ? ", of the samples that can be read" : ""));
    say();
    if (samples == 0) {
        ++out.problems;
        return say("  There is no sample to give: read_tar() refuses to begin.");
    }
    auto const range = [](tools::split const& s) { return s.fewest() == s.most() ? grouped(s.most()) : grouped(s.fewest()) + " to " + grouped(s.most()); };
    auto const row = [&](std::string name, tools::split const& s) {
        name.resize(34, ' ');
        say("  " + name + padded(range(s), 18) + padded(grouped(s.never), 14) + padded(grouped(s.again), 14));
    };
    auto const whole = tools::whole_shards(sizes, world, workers, batch), drawn = tools::resampled(sizes, world, batch), ours = tools::even_cut(sizes, static_cast<std::uint32_t>(world), batch);
    say("  " + std::string(34, ' ') + padded("batches per rank", 18) + padded("never read", 14) + padded("read again", 14));
    row("WebDataset, shards to ranks", whole);
    row("WebDataset, resampled", drawn);
    row("penstock", ours);
    say();
    if (whole.fewest() != whole.most()) {
        auto const least = static_cast<std::uint64_t>(std::min_element(whole.batches.begin(), whole.batches.end()) - whole.batches.begin());
        auto const most = static_cast<std::uint64_t>(std::max_element(whole.batches.begin(), whole.batches.end()) - whole.batches.begin());
        auto const ranks_batches = [](std::uint64_t rank, std::uint64_t n) { return "rank " + std::to_string(rank) + " has " + grouped(n) + (n == 1 ? " batch" : " batches"); };
        paragraph("WebDataset gives whole shards to ranks" + (workers == 1 ? std::string{} : " and their " + grouped(workers) + " workers") + ": " + ranks_batches(least, whole.fewest()) + ", " + ranks_batches(most, whole.most()) +
                  ". When rank " + std::to_string(least) + " ends, the others wait for it in their next all-reduce, for ever. An epoch that ends there leaves " + counted(whole.never, "sample") + " unread (" +
                  percent(whole.never, samples) + ").");
    } else if (whole.never == 0) {
        paragraph("WebDataset's split is even for these shards and this number of ranks.");
    }
    if (whole.idle != 0)
        paragraph(grouped(whole.idle) + " of " + counted(world * workers, workers == 1 ? "rank" : "worker") + (whole.idle == 1 ? " gets" : " get") + " no sample: WebDataset raises an error there, unless empty_check is off.");
    paragraph("With resampled=True and with_epoch(" + grouped(drawn.most()) + ") the steps are equal, and shards are drawn at random: in this draw " + percent(drawn.never, samples) + " of the samples are not seen.");
    auto const places = world * ours.most() * batch;
    if (samples < world) {
        ++out.problems;
        paragraph("There are more ranks than samples: penstock::train::fit refuses to begin. Start " + counted(samples, "rank") + " at most.");
    }
    paragraph("penstock cuts shards where it needs to: every rank takes " + grouped(ours.most()) + (ours.most() == 1 ? " step" : " steps") + ", every sample is read once" +
              (places == samples ? "." : ", and " + grouped(places - samples) + " of " + grouped(places) + " places in the last batches stay empty (" + percent(places - samples, places) + ")."));
}

void plan(ps::shard_names const& names, std::vector<tools::shard_checkup> const& shards, std::uint64_t world) {
    auto sizes = std::vector<std::uint64_t>{};
    for (auto const& s : shards) sizes.push_back(s.samples);
    auto const lines = ps::describe_plan(ps::shard_plan(names, {.counts = sizes}).with_world({0, static_cast<std::uint32_t>(world)}));
    say();
    say("Who reads what, before shuffle_shards() gives the shards another order in every pass");
    for (std::size_t at = 0; at != lines.size();) {
        auto const end = lines.find('\n', at);
        say("  " + lines.substr(at, end - at));
        at = end + 1;
    }
}

void damage(std::vector<tools::shard_checkup> const& shards, report& out) {
    auto broken = std::vector<tools::shard_checkup const*>{};
    auto faults = std::vector<std::string>{};
    for (auto const& s : shards) {
        if (!s.damage.empty()) broken.push_back(&s);
        faults.insert(faults.end(), s.faults.begin(), s.faults.end());
    }
    out.problems += broken.size() + faults.size();
    say();
    if (broken.empty()) say("No shard is damaged");
    else say("Damage: " + counted(broken.size(), "shard"));
    first_of(broken, 20, [](auto const* s) {
        say();
        say("  " + s->path);
        paragraph(s->damage + (s->damage == "unreadable" ? "" : " at byte " + grouped(s->byte) + (s->key.empty() ? "" : ", sample '" + s->key + "'") + ", after " + counted(s->samples, "whole sample")) + ": " + s->cause, 4);
        if (s->returning.size() > 1) {
            say("    " + grouped(s->returning.size()) + " keys come back in this shard:");
            first_of(s->returning, 5, [](auto const& key) { paragraph(key, 6); });
        }
        if (!s->hint.empty()) paragraph("HINT: " + s->hint, 4);
    });
    if (faults.empty()) return;
    say();
    say("Samples with a fault: " + grouped(faults.size()));
    first_of(faults, 10, [](auto const& f) { paragraph(f.substr(0, f.find('\n')), 4); });
}

/// What no sample gets, for which a reader refuses the shard.
void refusals(std::vector<tools::shard_checkup> const& shards, report& out) {
    auto lines = std::vector<std::pair<std::string, std::string>>{};
    std::size_t in = 0;
    for (auto const& s : shards) {
        in += s.refused.empty() ? 0 : 1;
        for (auto const& [kind, all] : s.refused)
            lines.emplace_back(s.path + ", byte " + grouped(all.byte) + ": " + all.first + (all.count == 1 ? "" : ", and " + grouped(all.count - 1) + " more like it"), ps::detail::rule_of(kind).hint);
    }
    out.problems += lines.size();
    if (lines.empty()) return;
    say();
    say("What no sample gets: " + counted(in, "shard") + (in == 1 ? ", which is" : ", which are") + " refused unless that is allowed");
    first_of(lines, 20, [](auto const& line) {
        say();
        paragraph(line.first, 4);
        paragraph("HINT: " + line.second, 4);
    });
}

/// What an index or a side file says and the shards do not: a reader would believe it until it is there.
void counts(ps::shard_names const& names, std::vector<tools::shard_checkup> const& shards, int threads, report& out) {
    auto walked = std::map<std::string, std::uint64_t>{};
    for (auto const& s : shards) walked[s.path] = s.places;
    auto wrong = std::vector<std::string>{};
    try {
        auto const known = ps::shard_counts(names, {.count = [&](std::string const& path) { return walked.at(path); }, .scan = ps::scan_shards::always, .threads = threads, .write_index = false, .progress = {}});
        for (std::size_t i = 0; i != shards.size(); ++i)
            if (shards[i].damage.empty() && known.samples[i] != shards[i].places)
                wrong.push_back(shards[i].path + ": " + counted(known.samples[i], "sample") + " by the index or side file beside it, and " + grouped(shards[i].places) + " in the shard");
    } catch (ps::error const& e) {
        wrong.push_back(e.what());
    }
    out.problems += wrong.size();
    if (wrong.empty()) return;
    say();
    say("Counts that are wrong: " + grouped(wrong.size()));
    first_of(wrong, 20, [](auto const& line) { paragraph(line.substr(0, line.find('\n')), 4); });
}

void keys(std::vector<tools::shard_checkup> const& shards, std::vector<tools::key_place>& all, report& out) {
    std::sort(all.begin(), all.end(), [](auto const& a, auto const& b) { return a.hash != b.hash ? a.hash < b.hash : a.shard != b.shard ? a.shard < b.shard : a.byte < b.byte; });
    std::uint64_t across = 0;
    auto example = std::string{};
    for (std::size_t i = 1; i < all.size(); ++i) {
        if (all[i].hash != all[i - 1].hash || all[i].shard == all[i - 1].shard) continue;
        if (!example.empty()) {
            ++across;  // an equal hash of 64 bits: the same key, but for one case in many billions
            continue;
        }
        auto const& path = shards[all[i].shard].path;
        auto const key = tools::key_at(path, all[i].byte);
        if (key != tools::key_at(shards[all[i - 1].shard].path, all[i - 1].byte)) continue;
        ++across;
        example = "'" + key + "' is in " + shards[all[i - 1].shard].path + " and in " + path;
    }
    if (across != 0) out.notes.push_back(counted(across, "key") + (across == 1 ? " is" : " are") + " used in more than one shard: " + example + ".");
}

void oddities(std::vector<tools::shard_checkup> const& shards, report& out) {
    auto sizes = std::vector<std::uint64_t>{};
    auto sets = std::map<std::string, std::pair<std::uint64_t, std::string>>{};
    std::uint64_t meta = 0, companions = 0, global = 0;
    auto empty_fields = std::map<std::string, std::uint64_t>{};
    for (auto const& s : shards) {
        if (s.damage.empty()) sizes.push_back(s.samples);
        meta += s.skipped.meta;
        companions += s.skipped.companions;
        global += s.global_headers ? 1 : 0;
        for (auto const& [set, n] : s.sets) {
            auto& all = sets[set];
            if (all.first == 0) all.second = "'" + n.second + "' in " + s.path;
            all.first += n.first;
        }
        for (auto const& [name, f] : s.fields)
            if (f.empty != 0) empty_fields[name] += f.empty;
    }
    std::sort(sizes.begin(), sizes.end());
    auto const median = sizes.empty() ? 0 : sizes[sizes.size() / 2];
    auto odd = std::vector<std::string>{};
    for (auto const& s : shards)
        if (s.damage.empty() && (s.samples * 2 < median || s.samples > median * 2)) odd.push_back(s.path + " has " + counted(s.samples, "sample"));
    if (!odd.empty()) {
        auto text = counted(odd.size(), "shard") + (odd.size() == 1 ? " is" : " are") + " of an odd size, the median being " + grouped(median) + ": ";
        for (std::size_t i = 0; i != odd.size() && i != 3; ++i) text += (i == 0 ? "" : ", ") + odd[i];
        out.notes.push_back(text + (odd.size() > 3 ? ", ..." : "") + ".");
    }
    if (sets.size() > 1) {
        auto common = sets.begin();
        for (auto at = sets.begin(); at != sets.end(); ++at)
            if (at->second.first > common->second.first) common = at;
        for (auto at = sets.begin(); at != sets.end() && out.notes.size() < 12; ++at)
            if (at != common) out.notes.push_back(counted(at->second.first, "sample") + (at->second.first == 1 ? " has" : " have") + " the fields {" + at->first + "} instead of {" + common->first + "}, the first is " + at->second.second + ".");
    }
    for (auto const& [name, n] : empty_fields) out.notes.push_back(counted(n, "field") + " '" + name + "' " + (n == 1 ? "has" : "have") + " no bytes.");
    auto const members = [](std::uint64_t n) { return counted(n, "member") + (n == 1 ? " is" : " are"); };
    if (meta != 0) out.notes.push_back(members(meta) + " left out by rule: names and folders of the form __x__ are WebDataset's own.");
    if (companions != 0) out.notes.push_back(members(companions) + " left out by rule: Macs add ._x to a file x, and .DS_Store.");
    if (global != 0) out.notes.push_back(counted(global, "shard") + (global == 1 ? " has" : " have") + " a global pax header: read_tar() reads them, indexed() refuses them.");
}

void checksums(ps::shard_names const& names, int threads, report& out) {
    auto with = std::vector<std::string>{}, without = std::vector<std::string>{};
    for (std::size_t i = 0; i != names.size(); ++i) {
        auto const now = ps::shard_index::stat_of(names[i]);
        auto const block = now ? ps::detail::fresh_block(names[i], now->bytes, nullptr) : std::nullopt;
        (block && block->has_checksums() ? with : without).push_back(names[i]);
    }
    say();
    say("Checksums: " + grouped(with.size()) + " of " + counted(names.size(), "shard") + (names.size() == 1 ? " has" : " have") + " some");
    out.problems += without.size();
    if (!without.empty()) paragraph("not compared: " + without.front() + (without.size() == 1 ? "" : " and " + grouped(without.size() - 1) + " more") + ". HINT: penstock-index build --crc remembers checksums from then on", 4);
    if (with.empty()) return;
    auto bad = std::vector<std::string>{};
    for (auto const& shard : ps::verify_index(ps::shard_names::list(with), false, threads, ps::print_progress()))
        if (!shard.problem.empty()) bad.push_back(shard.problem);
    out.problems += bad.size();
    if (bad.empty()) say("  every field of " + std::string(without.empty() ? "them" : "these") + " is what it was when it was indexed");
    first_of(bad, 20, [](auto const& text) { paragraph(text.substr(0, text.find('\n')), 4); });
}

int doctor(tools::arguments const& args) {
    auto pattern = std::string{};
    for (auto const& w : args.words()) pattern += (pattern.empty() ? "" : "::") + w;
    auto const world = args.number("--world", 8, 1, 1 << 20), batch = args.number("--batch", 32, 1, 1 << 30), workers = args.number("--workers", 1, 1, 4096);
    auto const threads = static_cast<int>(args.number("--threads", 4, 1, 1024));
    auto const names = ps::shard_names::expand(pattern);

    say("penstock doctor: " + pattern);
    say();
    auto shards = std::vector<tools::shard_checkup>(names.size());
    auto places = std::vector<std::vector<tools::key_place>>(names.size());
    auto start = ps::shard_progress{.who = "penstock-doctor", .doing = "looking at", .shards = names.size(), .threads = threads};
    for (std::size_t i = 0; i != names.size(); ++i)
        if (auto const s = ps::shard_index::stat_of(names[i])) start.bytes += s->bytes;
    auto const sink = ps::print_progress();
    auto meter = ps::detail::progress_meter(start, sink);
    ps::detail::for_each_shard(names.size(), threads, [&](std::size_t i) {
        shards[i] = tools::check_shard(names[i], static_cast<std::uint32_t>(i), &places[i]);
        meter.finished(shards[i].bytes, shards[i].samples);
    });
    auto all = std::vector<tools::key_place>{};
    for (auto& p : places) {
        all.insert(all.end(), p.begin(), p.end());
        p = {};
    }

    auto out = report{};
    overview(shards);
    epoch(shards, world, batch, workers, out);
    if (args.has("--plan")) plan(names, shards, world);
    damage(shards, out);
    refusals(shards, out);
    counts(names, shards, threads, out);
    keys(shards, all, out);
    if (args.has("--verify")) checksums(names, threads, out);
    oddities(shards, out);
    if (!out.notes.empty()) {
        say();
        say("Worth a look");
        for (auto const& n : out.notes) paragraph("- " + n);
    }
    say();
    say(out.problems == 0 ? "Nothing is wrong." : counted(out.problems, "problem") + ".");
    return out.problems == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        auto const args = tools::arguments(argc, argv, {"--help", "-h", "--plan", "--verify"}, {"--world", "--batch", "--workers", "--threads"});
        if (args.has("--help") || args.has("-h")) return std::fputs(help, stdout) < 0 ? 2 : 0;
        if (args.words().empty()) return std::fputs(help, stderr) < 0 ? 2 : 2;
        return doctor(args);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "penstock-doctor: %s\n", e.what());
        return 2;
    }
}
