// One rank of an epoch over real tars, as a process of its own, for ranks.py: it may be killed at any moment and started again.
//
//   tar_rank make DIR N N ...        writes shards of N samples each, and DIR/list
//   tar_rank run key=value ...       delivers; every `every` batches, and at the end, `out` is replaced by all that was delivered so far,
//                                    the positions of it, and the state behind it. If `out` exists, it goes on from there.
//                                    before=FILE,FILE: what ranks of earlier worlds left; the epoch goes on with what they did not deliver
//
// It begins a batch for each byte on standard input, and all of them at its end; it writes a byte for each batch that it has delivered.
#include <conformance/tar_job.hpp>
#include <penstock/core/ledger.hpp>
#include <penstock/io/atomic_file.hpp>
#include <penstock/stages/interleave.hpp>

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

using chain = ps::any_pipeline<test::traces>;

std::vector<std::string> split(std::string const& text, char at) {
    std::vector<std::string> all;
    std::istringstream in(text);
    for (std::string one; std::getline(in, one, at);) all.push_back(one);
    return all;
}

class arguments {
public:
    arguments(int argc, char** argv) {
        for (int i = 2; i < argc; ++i) {
            std::string const one = argv[i];
            auto const cut = one.find('=');
            all_[one.substr(0, cut)] = cut == one.npos ? "" : one.substr(cut + 1);
        }
    }
    std::string text(std::string const& key) const {
        auto const at = all_.find(key);
        return at == all_.end() ? std::string{} : at->second;
    }
    std::int64_t number(std::string const& key) const { return std::strtoll(text(key).c_str(), nullptr, 10); }

private:
    std::map<std::string, std::string> all_;
};

/// What a rank leaves on disk, in one file: nothing of it can be newer than the rest.
struct progress {
    std::string batches{};  ///< a line each: source, pass:id ...
    std::uint64_t count = 0;
    ps::ledger used{};
    std::string state{};
    bool ended = false;

    static progress read(std::string const& path) {
        progress p;
        std::ifstream in(path, std::ios::binary);
        if (!in) throw std::runtime_error("cannot read " + path);
        for (std::string line; std::getline(in, line);) {
            auto const word = line.substr(0, line.find(' '));
            if (word == "batch") ++p.count, p.batches += line + '\n';
            else if (word == "used") {
                std::istringstream words(line.substr(5));
                std::string source;
                std::vector<std::uint8_t> bytes;
                words >> source >> std::hex;
                for (unsigned b; words >> b;) bytes.push_back(static_cast<std::uint8_t>(b));
                p.used.put(source == "-" ? "" : source, ps::interval_set::parse(bytes));
            } else if (word == "ended") p.ended = true;
            else if (word == "state") p.state.assign(std::istreambuf_iterator<char>(in), {});
        }
        return p;
    }
    void write(std::string const& path) const {
        std::ostringstream out;
        out << batches;
        used.each([&](std::string const& source, ps::interval_set const& positions) {
            out << "used " << (source.empty() ? "-" : source) << std::hex;
            for (auto const b : positions.bytes()) out << ' ' << unsigned{b};
            out << std::dec << '\n';
        });
        if (ended) out << "ended " << count << '\n';
        out << "state\n" << state;
        ps::io::atomic_file file(path, "tar_rank");
        file.write(out.str());
        file.commit();
    }
};

chain make(arguments const& a, ps::world w) {
    auto const one = [&](std::string const& data) {
        test::tar_job job{.samples_per_epoch = static_cast<std::uint64_t>(a.number("samples_per_epoch")),
                          .repeat = 1 + static_cast<std::uint64_t>(a.number("more_passes")),
                          .batch = a.number("batch"),
                          .window = a.number("window"),
                          .threads = a.number("threads"),
                          .ahead = a.number("ahead"),
                          .shuffled = a.number("shuffled") != 0,
                          .verify = a.number("verify") != 0};
        std::ifstream list(data + "/list");
        for (std::string path; std::getline(list, path);) job.shards.push_back(path);
        return job.make(w);
    };
    auto const data = split(a.text("data"), ',');
    if (data.size() == 1) return one(data[0]);
    return ps::any(ps::interleave({.stop = ps::stop_rule::all}, ps::named("a", 3, one(data[0])), ps::named("b", 1, one(data[1]))));
}

void run(arguments const& a) {
    auto const out = a.text("out");
    auto const e = ps::epoch::of(static_cast<std::uint64_t>(a.number("seed")), static_cast<std::uint64_t>(a.number("epoch")));
    auto const every = static_cast<std::uint64_t>(a.number("every"));
    std::optional<ps::ledger> others;
    for (auto const& path : split(a.text("before"), ',')) {
        if (!others) others.emplace();
        if (std::filesystem::exists(path)) others->merge(progress::read(path).used);  // one that was killed before its first checkpoint left nothing
    }
    auto p = make(a, {static_cast<std::uint32_t>(a.number("rank")), static_cast<std::uint32_t>(a.number("world"))});
    progress done;
    if (std::filesystem::exists(out)) {
        done = progress::read(out);
        auto const state = ps::state::parse(done.state);
        others ? p.load(state, *others) : p.load(state);
    } else others ? p.reset(e, *others) : p.reset(e);

    char permit = 0;
    while (true) {
        if (::read(STDIN_FILENO, &permit, 1) < 0) throw std::runtime_error("cannot read standard input");
        auto const b = p.next();
        if (!b) break;
        done.batches += "batch " + (b->source.empty() ? "-" : b->source);
        for (auto const& t : b->items) done.batches += ps::message(' ', t.pass, ':', t.id);
        done.batches += '\n';
        ++done.count;
        done.used.commit(*b);
        if (done.count % every == 0) {
            done.state = p.save().text();
            done.write(out);
        }
        if (::write(STDOUT_FILENO, ".", 1) != 1) throw std::runtime_error("cannot write to standard output");
    }
    if (done.count != p.world_max()) throw std::runtime_error(ps::message(done.count, " batches, not ", p.world_max().value_or(0)));
    done.ended = true;
    done.state = p.save().text();
    done.write(out);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc > 3 && std::string_view(argv[1]) == "make") {
            std::vector<std::uint64_t> sizes;
            for (int i = 3; i != argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 10));
            test::tar_disk const disk(argv[2], sizes);
            std::ofstream list(std::string(argv[2]) + "/list");
            for (auto const& path : disk.paths()) list << path << '\n';
        } else if (argc > 2 && std::string_view(argv[1]) == "run") run(arguments(argc, argv));
        else throw std::invalid_argument("usage: tar_rank make DIR N ... | run key=value ...");
        return 0;
    } catch (std::exception const& e) {
        std::fprintf(stderr, "tar_rank: %s\n", e.what());
        return 1;
    }
}
