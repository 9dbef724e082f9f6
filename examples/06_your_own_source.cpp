// 06: a source of your own says where it stands, and every stage after it can be resumed.
//
//   readings.csv ------> csv_source -----------> shuffle(3) ----> map ----> ...
//   "oslo,3.5"           reading{"oslo", 3.5}
//                        position: a byte offset
//
#include <penstock/penstock.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

namespace ps = penstock;
namespace fs = std::filesystem;

struct reading {
    std::string place;
    double degrees;
};

class csv_source {
public:
    // What a source must have: the type of its items, and next(). Items are values that the caller owns.
    using item_type = reading;
    explicit csv_source(std::string path) : path_(std::move(path)), file_(path_) {
        if (!file_) throw ps::config_error("csv_source: cannot open " + path_ + "\n  HINT: look for the file and its permissions");
    }
    std::optional<reading> next() {
        std::string line;
        if (!std::getline(file_, line)) return std::nullopt;
        auto const begin = std::exchange(at_, at_ + line.size() + 1);  // first of all: a line that throws is behind us
        try {
            auto const comma = line.find(',');
            return reading{line.substr(0, comma), std::stod(line.substr(comma + 1))};
        } catch (std::exception const&) {  // say where: the file's name without its folder, and the byte
            throw ps::stage_error("csv_source", ps::fault::content, {.shard = fs::path(path_).filename(), .byte = begin}, "no number in '" + line + "'", "mend the line");
        }
    }

    // What it may have. With reset there are epochs; with save and load it can be resumed. hint() would tell how many items are left.
    void reset(ps::epoch) { seek(0); }
    void save(ps::state_writer& w) const { w.stage("csv", /*version*/ 1).put("at", at_); }
    void load(ps::state_reader& r) { seek(r.stage("csv", 1).get("at")); }

private:
    void seek(std::uint64_t at) {
        file_.clear();
        file_.seekg(static_cast<std::streamoff>(at));
        at_ = at;
    }

    std::string path_;
    std::ifstream file_;
    std::uint64_t at_ = 0;
};

auto csv(std::string path) { return ps::pipeline(csv_source(std::move(path))); }

struct temporary_folder {
    fs::path path = fs::temp_directory_path() / ("penstock-06-" + std::to_string(::getpid()));
    temporary_folder() { fs::create_directory(path); }
    ~temporary_folder() { fs::remove_all(path); }
};

int main() {
    temporary_folder const folder;
    auto const file = folder.path / "readings.csv";
    std::ofstream(file) << "oslo,3.5\nrome,19.25\ncairo,28\nlima,eighteen\nquito,14\ndelhi,31.5\nbern,9\n";
    auto make = [&] { return csv(file) | ps::shuffle(3); };

    // Mixed, stopped after two items, saved, and resumed: what shuffle holds is not in the state, it is read again.
    auto show = [](auto& p, int most) {
        for (int i = 0; i != most; ++i) try {
                auto const r = p.next();
                if (!r) break;
                std::cout << "  " << r->place << ' ' << r->degrees << '\n';
            } catch (ps::stage_error const& e) {  // it took one line, and the next call goes on behind it
                std::cout << "  " << e.what() << '\n';
            }
    };
    auto before = make();
    before.reset(/*seed*/ 3, /*epoch*/ 0);
    std::cout << "two items\n";
    show(before, 2);
    auto const saved = before.save();
    std::cout << "the rest, in a new pipeline\n";
    auto after = make();
    after.load(saved);
    show(after, 100);
    std::cout << "the rest, in the old one\n";
    show(before, 100);
}

// Output:
//   two items
//     oslo 3.5
//     cairo 28
//   the rest, in a new pipeline
//     csv_source: readings.csv, byte 29: no number in 'lima,eighteen'
//     HINT: mend the line
//     rome 19.25
//     bern 9
//     quito 14
//     delhi 31.5
//   the rest, in the old one
//     csv_source: readings.csv, byte 29: no number in 'lima,eighteen'
//     HINT: mend the line
//     rome 19.25
//     bern 9
//     quito 14
//     delhi 31.5
