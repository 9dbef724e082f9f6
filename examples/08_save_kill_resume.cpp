// 08: a job that is killed in the middle goes on where it was, and every sample counts exactly once.
//
//            read_tar --> shuffle(50) --> batch(8) --> work(batch) --+
//                                                                    v
//   start --> load progress, if there is a file           progress: what came of the work, and the position behind it, in one file
//     ^                                                              |
//     +---------------------- kill -9, at any moment ----------------+
//
#include <penstock/penstock.hpp>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

namespace ps = penstock;
namespace fs = std::filesystem;

auto make(fs::path const& folder) {
    return ps::shard_list((folder / "train-{0..4}.tar").string()) | ps::shuffle_shards() | ps::read_tar() | ps::shuffle(50)
         | ps::map([](ps::fields const& f) { return f.integer("cls"); }) | ps::batch(8);
}

// The ids of the samples that have been worked on, in order, and the state of the pipeline behind the last of them.
struct progress {
    std::vector<std::uint64_t> ids{};
    std::string state{};

    static progress read(fs::path const& path) {
        progress p;
        std::ifstream in(path);
        std::string line;
        std::getline(in, line);
        for (std::istringstream words(line); words >> line;) p.ids.push_back(std::stoull(line));
        p.state.assign(std::istreambuf_iterator<char>(in), {});
        return p;  // empty, if there is no file yet
    }
    // The results and the position must not come apart: one file, and renaming puts it in place of the old one at once or not at all.
    void write(fs::path const& path) const {
        auto const unfinished = fs::path(path) += ".unfinished";
        std::ofstream out(unfinished);
        for (auto id : ids) out << id << ' ';
        out << '\n' << state;
        out.close();
        if (!out) throw fs::filesystem_error("cannot write", unfinished, {});
        fs::rename(unfinished, path);
    }
};

// One epoch, or the rest of it. before_batch() stands for the time that training takes.
template <class F>
void run(fs::path const& folder, fs::path const& file, F before_batch) {
    auto done = progress::read(file);
    auto batches = make(folder);
    if (done.state.empty()) batches.reset(/*seed*/ 5, /*epoch*/ 0);
    else batches.load(ps::state::parse(done.state));
    for (before_batch(); auto const b = batches.next(); before_batch()) {
        done.ids.insert(done.ids.end(), b->ids.begin(), b->ids.end());
        done.state = batches.save().text();
        done.write(file);
    }
}

// The same in a child process. It may begin so many batches; when it has begun half of them it is killed, wherever it is by then.
void run_and_kill(fs::path const& folder, fs::path const& file, int batches) {
    int ends[2], status = 0;
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) throw std::system_error(errno, std::generic_category(), "socketpair");
    auto const child = ::fork();
    if (child == -1) throw std::system_error(errno, std::generic_category(), "fork");
    ::close(ends[child == 0]);
    auto const talk = ends[child != 0];  // the child's end and ours
    char c = 0;
    if (child == 0) {
        run(folder, file, [&] { if (::read(talk, &c, 1) != 1 || ::write(talk, &c, 1) != 1) ::_exit(1); });
        ::_exit(0);
    }
    for (int i = 0; i != batches; ++i)  // a byte there is a permit, a byte back says that a batch has begun
        if (::write(talk, &c, 1) != 1 || (i % 2 == 0 && ::read(talk, &c, 1) != 1)) break;
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    ::close(talk);
    std::cout << (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? "killed" : "NOT killed") << " in the middle of the epoch\n";
}

int main() {
    auto const folder = fs::temp_directory_path() / ("penstock-08-" + std::to_string(::getpid()));
    (void)(ps::range(300) | ps::map([](std::int64_t i) {
               ps::fields sample({}, "s" + std::to_string(i), 0);
               sample.add("cls", ps::blob::of(std::to_string(i % 10)));
               return sample;
           })
           | ps::write_tar((folder / "train-{}.tar").string(), {.samples = 60, .digits = 1}));

    for (int const batches : {8, 12, 6}) run_and_kill(folder, folder / "progress", batches);
    run(folder, folder / "progress", [] {});
    run(folder, folder / "undisturbed", [] {});

    auto const ids = progress::read(folder / "progress").ids;
    std::cout << ids.size() << " samples, " << std::set(ids.begin(), ids.end()).size() << " different ones\n";
    std::cout << (ids == progress::read(folder / "undisturbed").ids ? "the same order as in a run that was never killed\n" : "ANOTHER order\n");
    fs::remove_all(folder);
}

// Output:
//   killed in the middle of the epoch
//   killed in the middle of the epoch
//   killed in the middle of the epoch
//   300 samples, 300 different ones
//   the same order as in a run that was never killed
