#include <penstock/train/load_checkpoint.hpp>
#include <penstock/train/restore.hpp>
#include <penstock/train/save_checkpoint.hpp>

#include "files.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <support/catch.hpp>

namespace fs = std::filesystem;
namespace train = penstock::train;
using test::error_of;
using test::has;

namespace {

train::snapshot at_step(std::uint64_t step, std::int64_t size = 1000) {
    auto const value = static_cast<double>(step);
    return {.step = step, .epoch = step / 10, .samples = step * 64, .model = {{"w", at::full({size}, value)}, {"b", at::full({3}, -value, at::kBFloat16)}},
            .optim = {{"w.step", at::full({}, value)}}, .rank = {{"rng.cpu", at::full({16}, step % 256, at::kByte)}},
            .pipeline = "pipeline at " + std::to_string(step), .chain = "range | batch", .metadata = {{"seed", "7"}}};
}

bool whole(train::loaded_checkpoint const& c) {  // every part is of one step
    auto const value = static_cast<double>(c.state.step);
    bool ok = c.state.model.size() == 2 && c.state.optim.size() == 1 && c.state.rank.size() == 1 && c.state.pipeline == "pipeline at " + std::to_string(c.state.step);
    for (auto const& [name, t] : c.state.model) ok = ok && t.to(at::kDouble).eq(name == "w" ? value : -value).all().item<bool>();
    return ok && c.state.optim[0].second.item<double>() == value;
}

void flip(fs::path const& file, std::size_t at) {
    auto bytes = test::slurp(file);
    bytes.at(at) = static_cast<char>(bytes[at] ^ 0x10);
    test::spill(file, bytes);
}

/// An hour old; a link itself, not what it points to.
void make_old(fs::path const& path) {
    timespec const then{::time(nullptr) - 3600, 0}, both[] = {then, then};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), both, AT_SYMLINK_NOFOLLOW) == 0);
}

std::size_t under_construction(fs::path const& root) {
    std::size_t n = 0;
    for (auto const& e : fs::directory_iterator(root)) n += has(e.path().filename().string(), ".tmp-") ? 1 : 0;
    return n;
}

/// Ranks as threads of this process.
class meeting {
public:
    explicit meeting(int world) : world_(world) {}
    train::peers peers(int rank) {
        return {.rank = rank, .world = world_, .any = [this](bool mine) { return meet(mine ? 1 : 0, 0).first != 0; },
                .first = [this, rank](std::uint64_t mine) { return meet(0, rank == 0 ? mine : 0).second; }};
    }
    /// Runs f(rank) on a thread per rank and gives what each returned.
    template <class F> std::vector<std::string> run(F f) {
        std::vector<std::string> out(static_cast<std::size_t>(world_));
        std::vector<std::thread> threads;
        for (int r = 0; r < world_; ++r) threads.emplace_back([&, r] { out[static_cast<std::size_t>(r)] = f(peers(r)); });
        for (auto& t : threads) t.join();
        return out;
    }

private:
    std::pair<std::uint64_t, std::uint64_t> meet(std::uint64_t count, std::uint64_t value) {
        std::unique_lock lock(mutex_);
        auto const mine = round_;
        count_ += count;
        value_ += value;
        if (++here_ == world_) {
            result_ = {count_, value_};
            here_ = 0, count_ = value_ = 0, ++round_;
            all_.notify_all();
        } else {
            all_.wait(lock, [&] { return round_ != mine; });
        }
        return result_;
    }
    int world_, here_ = 0;
    std::uint64_t round_ = 0, count_ = 0, value_ = 0;
    std::pair<std::uint64_t, std::uint64_t> result_{};
    std::mutex mutex_;
    std::condition_variable all_;
};

/// Runs the hidden test below in a process of its own.
pid_t spawn_child(fs::path const& root, std::string const& job) {
    ::setenv("PENSTOCK_TEST_ROOT", root.c_str(), 1);
    ::setenv("PENSTOCK_TEST_JOB", job.c_str(), 1);
    std::string self = fs::read_symlink("/proc/self/exe").string(), name = "[child]";
    char* argv[] = {self.data(), name.data(), nullptr};
    pid_t pid = 0;
    if (::posix_spawn(&pid, self.c_str(), nullptr, nullptr, argv, environ) != 0) return -1;
    return pid;
}
int wait_for(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return status;
}

}  // namespace

TEST_CASE("checkpoint: child process", "[.][child]") {
    char const *root = std::getenv("PENSTOCK_TEST_ROOT"), *job = std::getenv("PENSTOCK_TEST_JOB");
    if (root == nullptr || job == nullptr) return;
    std::string const what = job;
    if (what == "many") {  // saves until it is killed
        for (std::uint64_t step = 2; step < 100'000; ++step) train::save_checkpoint(root, at_step(step, 2'000'000), {}, {.keep = 2});
    } else if (what == "twenty") {
        for (std::uint64_t step = 1; step <= 20; ++step) train::save_checkpoint(root, at_step(step), {}, {.keep = 2});
    } else {  // "any-<n>": dies in its n-th agreement of step 2
        int left = std::stoi(what.substr(4));
        train::peers one;
        one.any = [&left](bool mine) {
            if (left-- == 0) ::kill(::getpid(), SIGKILL);
            return mine;
        };
        train::save_checkpoint(root, at_step(2), one);
    }
    CHECK(true);
}

TEST_CASE("checkpoint: everything comes back", "[unit][checkpoint]") {
    test::scratch dir;
    auto s = at_step(123);
    s.pipeline = std::string("any bytes \0 \xff\n", 15);
    auto const saved = train::save_checkpoint(dir / "run/deep", s);
    CHECK(saved.directory == dir / "run/deep/step-0000000123");
    CHECK(saved.notes.empty());
    CHECK(fs::read_symlink(dir / "run/deep/latest") == "step-0000000123");
    CHECK(test::entries(saved.directory) == 4);
    for (auto const& path : {dir / "run/deep", dir / "run/deep/latest", saved.directory}) {
        auto const back = train::load_checkpoint(path);
        REQUIRE(back);
        CHECK(back->state.step == 123);
        CHECK(back->state.epoch == 12);
        CHECK(back->state.samples == 123 * 64);
        CHECK(back->state.pipeline == s.pipeline);
        CHECK(back->state.chain == s.chain);
        CHECK(back->state.metadata == s.metadata);
        CHECK(back->about.model == train::fingerprint(s.model));
        CHECK(back->rejected.empty());
        train::restore(back->state.model, s.model, "model");
        train::restore(back->state.rank, s.rank, "rank");
    }
}

TEST_CASE("checkpoint: nothing to load is no error, a place that cannot be listed is", "[unit][checkpoint]") {
    test::scratch dir;
    CHECK_FALSE(train::load_checkpoint(dir / "none"));
    CHECK_FALSE(train::load_checkpoint(dir.path()));
    test::spill(dir / "file", "x");
    CHECK(has(error_of<penstock::state_error>([&] { train::load_checkpoint(dir / "file"); }), "cannot be listed"));
    CHECK(has(error_of<penstock::state_error>([&] { train::load_checkpoint(dir / "step-0000000009"); }), "manifest.json"));
}

TEST_CASE("checkpoint: the last ones are kept, newest is what was saved last", "[unit][checkpoint]") {
    test::scratch dir;
    for (std::uint64_t step : {10u, 20u, 30u, 40u}) train::save_checkpoint(dir.path(), at_step(step), {}, {.keep = 2});
    CHECK(test::entries(dir.path()) == 3);  // two and the link
    CHECK(train::load_checkpoint(dir.path())->state.step == 40);
    train::save_checkpoint(dir.path(), at_step(35), {}, {.keep = 2});  // a run that went back to 30
    CHECK(train::load_checkpoint(dir.path())->state.step == 35);
    CHECK(fs::exists(dir / "step-0000000040"));
    train::save_checkpoint(dir.path(), at_step(50), {}, {.keep = 0});
    CHECK(test::entries(dir.path()) == 4);
    CHECK(under_construction(dir.path()) == 0);
}

TEST_CASE("checkpoint: a step that is saved again replaces the old one", "[unit][checkpoint]") {
    test::scratch dir;
    auto s = at_step(5);
    train::save_checkpoint(dir.path(), s);
    s.pipeline = "second";
    train::save_checkpoint(dir.path(), s);
    CHECK(train::load_checkpoint(dir.path())->state.pipeline == "second");
    CHECK(test::entries(dir.path()) == 2);
}

TEST_CASE("checkpoint: a damaged one is passed over in one sentence", "[unit][checkpoint]") {
    test::scratch dir;
    train::save_checkpoint(dir.path(), at_step(1));
    auto const bad = train::save_checkpoint(dir.path(), at_step(2)).directory;
    struct damage {
        char const* says;
        std::function<void()> make;
    };
    auto const damages = std::vector<damage>{
        {"size and checksum", [&] { flip(bad / "model.safetensors", fs::file_size(bad / "model.safetensors") - 1); }},
        {"size and checksum", [&] { flip(bad / "optim.safetensors", fs::file_size(bad / "optim.safetensors") - 1); }},
        {"must fill the file", [&] { fs::resize_file(bad / "model.safetensors", 400); }},
        {"No such file", [&] { fs::remove(bad / "rank-00000.safetensors"); }},
        {"none", [&] { fs::remove(bad / "manifest.json"); }},
        {"manifest is damaged", [&] { fs::resize_file(bad / "manifest.json", 100); }},
        {"checksum of the manifest", [&] {
             auto text = test::slurp(bad / "manifest.json");
             auto const at = text.find("\"samples\": 128");
             text.at(at + 11) = '9';
             test::spill(bad / "manifest.json", text);
         }},
    };
    for (auto const& d : damages) {
        INFO(d.says);
        d.make();
        auto const back = train::load_checkpoint(dir.path());
        REQUIRE(back);
        CHECK(back->state.step == 1);
        CHECK(whole(*back));
        REQUIRE(back->rejected.size() == 1);
        CHECK(has(back->rejected[0], bad.string()));
        CHECK(has(back->rejected[0], d.says));
        CHECK_FALSE(has(back->rejected[0], "\n"));
        CHECK(has(error_of<penstock::state_error>([&] { train::load_checkpoint(bad); }), d.says));  // asked for by name: no other is taken
        train::save_checkpoint(dir.path(), at_step(2));
        CHECK(train::load_checkpoint(dir.path())->rejected.empty());
    }
    flip(dir / "step-0000000001/model.safetensors", 300);
    flip(bad / "model.safetensors", 300);
    auto const text = error_of<penstock::state_error>([&] { train::load_checkpoint(dir.path()); });
    CHECK(has(text, "no complete checkpoint is left"));
    CHECK(has(text, "step-0000000001"));
    CHECK(has(text, "step-0000000002"));
    CHECK(has(text, "HINT"));
}

TEST_CASE("checkpoint: another model is named by its first difference", "[unit][checkpoint]") {
    test::scratch dir;
    train::save_checkpoint(dir.path(), at_step(1));
    auto const back = train::load_checkpoint(dir.path());
    auto const text = error_of<penstock::state_error>([&] { train::restore(back->state.model, {{"w", at::zeros({999})}, {"b", at::zeros({3}, at::kBFloat16)}}, "model"); });
    CHECK(has(text, "model: 'w': shape must be [999], got [1000]"));
}

TEST_CASE("checkpoint: a full disk leaves the last one", "[unit][checkpoint]") {
    test::scratch dir;
    train::save_checkpoint(dir.path(), at_step(1));
    std::string text;
    {
        test::file_limit limit(100'000);
        text = error_of<penstock::stage_error>([&] { train::save_checkpoint(dir.path(), at_step(2, 1'000'000)); });
    }
    CHECK(has(text, "model.safetensors"));
    CHECK(has(text, "File too large"));
    CHECK(has(text, "HINT"));
    CHECK(under_construction(dir.path()) == 0);
    CHECK(train::load_checkpoint(dir.path())->state.step == 1);
    train::save_checkpoint(dir.path(), at_step(2));
    CHECK(train::load_checkpoint(dir.path())->state.step == 2);
}

TEST_CASE("checkpoint: a directory that cannot be made or written is named", "[unit][checkpoint]") {
    test::scratch dir;
    test::spill(dir / "file", "x");
    auto const text = error_of<penstock::stage_error>([&] { train::save_checkpoint(dir / "file/run", at_step(1)); });
    CHECK(has(text, "file/run"));
    CHECK(has(text, "HINT"));
    CHECK(has(error_of<penstock::stage_error>([&] { train::save_checkpoint("/proc/penstock", at_step(1)); }), "/proc/penstock"));
    if (::geteuid() == 0) return;  // root may write anywhere
    fs::create_directory(dir / "closed");
    fs::permissions(dir / "closed", fs::perms::owner_read | fs::perms::owner_exec);
    CHECK(has(error_of<penstock::stage_error>([&] { train::save_checkpoint(dir / "closed", at_step(1)); }), "writable by this user"));
    fs::permissions(dir / "closed", fs::perms::owner_all);
}

TEST_CASE("checkpoint: ranks save together and each loads its own part", "[unit][checkpoint]") {
    test::scratch dir;
    meeting all(3);
    auto rank_snapshot = [](train::peers const& p, std::uint64_t step) {
        auto s = at_step(step);
        s.pipeline = "rank " + std::to_string(p.rank);
        s.rank = {{"rng.cpu", at::full({8}, p.rank, at::kByte)}};
        return s;
    };
    for (auto const& text : all.run([&](train::peers const& p) -> std::string {
             try {
                 return train::save_checkpoint(dir.path(), rank_snapshot(p, 7), p).directory.filename().string();
             } catch (std::exception const& e) { return e.what(); }
         }))
        CHECK(text == "step-0000000007");
    CHECK(test::entries(dir / "step-0000000007") == 6);
    auto const loaded = all.run([&](train::peers const& p) -> std::string {
        try {
            auto const back = train::load_checkpoint(dir.path(), p);
            return back->state.pipeline + " of " + std::to_string(back->state.step) + ", " + std::to_string(back->state.rank[0].second[0].item<int>());
        } catch (std::exception const& e) { return e.what(); }
    });
    CHECK(loaded == std::vector<std::string>{"rank 0 of 7, 0", "rank 1 of 7, 1", "rank 2 of 7, 2"});

    SECTION("a rank that cannot write makes all give up, and the old one stays") {
        auto const failed = all.run([&](train::peers const& p) -> std::string {
            auto s = rank_snapshot(p, 8);
            if (p.rank == 1) s.rank = {{"bad", at::ones({1}, at::kComplexDouble)}};
            try {
                train::save_checkpoint(dir.path(), s, p);
            } catch (penstock::error const& e) { return e.what(); }
            return "saved";
        });
        CHECK(has(failed[1], "'bad'"));
        CHECK(has(failed[0], "another rank could not write"));
        CHECK(has(failed[2], "another rank could not write"));
        CHECK(test::entries(dir.path()) == 2);
    }
    SECTION("a rank whose file is damaged makes all take the one before") {
        all.run([&](train::peers const& p) -> std::string { return train::save_checkpoint(dir.path(), rank_snapshot(p, 8), p).directory; });
        auto const file = dir / "step-0000000008/rank-00002.safetensors";
        flip(file, fs::file_size(file) - 1);
        auto const back = all.run([&](train::peers const& p) -> std::string {
            auto const c = train::load_checkpoint(dir.path(), p);
            return std::to_string(c->state.step) + " " + (c->rejected.empty() ? "nothing passed over" : c->rejected[0]);
        });
        for (auto const& text : back) CHECK(text.substr(0, 2) == "7 ");
        CHECK(has(back[0], "another rank cannot read it"));
        CHECK(has(back[2], "size and checksum"));
    }
    SECTION("another number of ranks is a sentence") {
        auto const text = error_of<penstock::state_error>([&] { train::load_checkpoint(dir.path()); });
        CHECK(has(text, "as many ranks as saved it, 3, got 1"));
        meeting more(4);
        for (auto const& t : more.run([&](train::peers const& p) { return error_of<penstock::state_error>([&] { train::load_checkpoint(dir.path(), p); }); }))
            CHECK(has(t, "as many ranks as saved it, 3, got 4"));
    }
    SECTION("a damaged checkpoint of every step ends on all ranks") {
        flip(dir / "step-0000000007/model.safetensors", 200);
        for (auto const& t : all.run([&](train::peers const& p) { return error_of<penstock::state_error>([&] { train::load_checkpoint(dir.path(), p); }); }))
            CHECK(has(t, "no complete checkpoint is left"));
    }
}

TEST_CASE("checkpoint: kill -9 between any two parts of a save", "[unit][checkpoint]") {
    for (int n = 0; n < 3; ++n) {
        test::scratch dir;
        train::save_checkpoint(dir.path(), at_step(1));
        auto const status = wait_for(spawn_child(dir.path(), "any-" + std::to_string(n)));
        INFO("agreement " << n);
        REQUIRE(WIFSIGNALED(status));
        auto const back = train::load_checkpoint(dir.path());
        REQUIRE(back);
        CHECK(back->rejected.empty());
        CHECK(whole(*back));
        CHECK(back->state.step == (n < 2 ? 1u : 2u));  // the last agreement comes after the rename
    }
}

TEST_CASE("checkpoint: kill -9 at any time", "[unit][checkpoint]") {
    test::scratch dir;
    train::save_checkpoint(dir.path(), at_step(1, 2'000'000));
    for (int round = 0; round < 5; ++round) {
        auto const pid = spawn_child(dir.path(), "many");
        REQUIRE(pid > 0);
        std::error_code ignored;
        for (int i = 0; i < 4000 && fs::read_symlink(dir / "latest", ignored) == "step-0000000001"; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        std::this_thread::sleep_for(std::chrono::milliseconds(7 + 13 * round));
        auto const before = train::detail::step_of(fs::read_symlink(dir / "latest", ignored).string());
        ::kill(pid, SIGKILL);
        wait_for(pid);
        auto const back = train::load_checkpoint(dir.path());
        REQUIRE(back);
        REQUIRE(before);
        CHECK(back->state.step >= *before);
        CHECK(whole(*back));
        train::save_checkpoint(dir.path(), at_step(1, 2'000'000), {}, {.keep = 1});
    }
    for (auto const& e : fs::directory_iterator(dir.path())) make_old(e.path());  // what the kills left is swept once it is old
    train::save_checkpoint(dir.path(), at_step(2));
    CHECK(under_construction(dir.path()) == 0);
}

TEST_CASE("checkpoint: the sweep leaves the living alone", "[unit][checkpoint]") {
    test::scratch dir;
    train::detail::building_site mine(dir / "step-0000000003.tmp-abc");
    fs::create_directory(dir / "step-0000000004.tmp-def");
    for (auto const* name : {"latest.tmp-old", "latest.tmp-new"}) fs::create_symlink("step-0000000009", dir / name);
    for (auto const* name : {"step-0000000003.tmp-abc", "step-0000000004.tmp-def", "latest.tmp-old"}) make_old(dir / name);
    train::save_checkpoint(dir.path(), at_step(5));
    CHECK(fs::exists(dir / "step-0000000003.tmp-abc"));
    CHECK_FALSE(fs::exists(dir / "step-0000000004.tmp-def"));
    CHECK_FALSE(fs::is_symlink(dir / "latest.tmp-old"));
    CHECK(fs::is_symlink(dir / "latest.tmp-new"));
}

TEST_CASE("checkpoint: two runs in one directory at once", "[unit][checkpoint]") {
    test::scratch dir;
    auto const a = spawn_child(dir.path(), "twenty"), b = spawn_child(dir.path(), "twenty");
    CHECK(wait_for(a) == 0);
    CHECK(wait_for(b) == 0);
    auto const back = train::load_checkpoint(dir.path());
    REQUIRE(back);
    CHECK(whole(*back));
    CHECK(under_construction(dir.path()) == 0);
}
