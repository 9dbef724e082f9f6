// The library's side of damage.py. Prints one line per delivered sample, its fields "cls" and "bin" in hexadecimal ("-" where there is none), then what
// was told about failures, each line after "told: ", and what ended the run, after "error: ".
//   damage_ours index SHARDS     makes index and checksums beside the shards, as penstock-index build --crc does
//   damage_ours read SHARDS      read_tar()
//   damage_ours verify SHARDS    read_tar with verify
//   damage_ours skip SHARDS      read_tar with read_up_to, and on_error behind it
#include <penstock/formats/build_index.hpp>
#include <penstock/formats/read_tar.hpp>
#include <penstock/sources/shard_list.hpp>
#include <penstock/stages/on_error.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace ps = penstock;

namespace {

std::string hex(ps::fields const& f, char const* name) {
    auto const* const field = f.find(name);
    if (field == nullptr || field->bytes.empty()) return "-";
    std::string out;
    for (auto const c : field->bytes.text()) {
        auto const byte = static_cast<unsigned char>(c);
        out += "0123456789abcdef"[byte >> 4];
        out += "0123456789abcdef"[byte & 15];
    }
    return out;
}
/// One line per failure: line ends become spaces.
std::string flat(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

void deliver(auto chain) {
    while (auto s = chain.next()) std::cout << hex(s->value, "cls") << ' ' << hex(s->value, "bin") << '\n';
}

void run(std::string const& what, std::vector<std::string> const& shards) {
    auto const plan = ps::shard_list(shards);
    if (what == "index") {
        for (auto const& one : ps::build_index(plan.names(), {.checksums = true}))
            if (!one.problem.empty()) throw ps::config_error(one.problem);
    } else if (what == "read") deliver(plan | ps::read_tar({.write_index = false, .progress = {}}));
    else if (what == "verify") deliver(plan | ps::read_tar({.write_index = false, .progress = {}, .verify = true}));
    else if (what == "skip") {
        auto const tell = [](ps::stage_error const& e) { std::cout << "told: " << flat(e.what()) << '\n'; };
        deliver(plan | ps::read_tar({.damaged = ps::damaged_shards::read_up_to, .write_index = false, .progress = {}}) | ps::on_error(ps::skips{}, tell));
    } else throw ps::config_error("usage: damage_ours index|read|verify|skip SHARDS...");
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(argc > 1 ? argv[1] : "", {argv + (std::min)(argc, 2), argv + argc});
    } catch (std::exception const& e) {
        std::cout << "error: " << flat(e.what()) << '\n';
    }
}
