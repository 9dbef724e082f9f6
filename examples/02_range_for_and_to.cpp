// 02: the items of a pipeline, in a loop or in a container.
//
//                               +--> for (auto& word : words)           one item at a time
//   from_vector(words) --> map -+--> | std::views::take(2)              any view of the standard library
//                               +--> | collect()                        a vector
//                               +--> | to<std::set>(), to<std::map>()   any container
//
#include <penstock/penstock.hpp>

#include <iostream>
#include <map>
#include <ranges>
#include <set>
#include <string>
#include <vector>

namespace ps = penstock;

std::string shout(std::string word) {
    for (auto& c : word) c = static_cast<char>(c - 'a' + 'A');
    return word;
}

int main() {
    auto make = [] { return ps::from_vector<std::string>({"rain", "river", "lake", "river", "sea"}) | ps::map(shout); };

    // A pipeline is a range. It yields references to items that it owns: a loop may change them, or move them out.
    auto words = make();
    std::cout << "the first two:";
    for (auto& word : words | std::views::take(2)) std::cout << ' ' << word;

    // It has one position, and a view takes exactly what it was asked for: the next loop goes on where the last one stopped.
    std::cout << "\nthen:";
    for (auto& word : words) std::cout << ' ' << word;

    // At the end of the epoch it stays empty. A new pass is a new epoch, never a second begin().
    std::cout << "\nanother loop:";
    for (auto& word : words) std::cout << ' ' << word;
    words.reset(/*seed*/ 0, /*epoch*/ 1);
    std::cout << "\nafter reset: " << *words.next() << '\n';

    // An end takes the whole pipeline. collect() gives a vector in the order of the stream ...
    std::vector<std::string> const all = make() | ps::collect();
    std::cout << "collect: " << all.size() << " words\n";

    // ... and to<> any container, whose item type it works out.
    std::cout << "set:";
    for (auto const& word : make() | ps::to<std::set>()) std::cout << ' ' << word;
    auto const letters = make() | ps::map([](std::string const& w) { return std::pair(w, w.size()); }) | ps::to<std::map>();
    std::cout << "\nmap:";
    for (auto const& [word, length] : letters) std::cout << ' ' << word << '=' << length;
    std::cout << '\n';
}

// Output:
//   the first two: RAIN RIVER
//   then: LAKE RIVER SEA
//   another loop:
//   after reset: RAIN
//   collect: 5 words
//   set: LAKE RAIN RIVER SEA
//   map: LAKE=4 RAIN=4 RIVER=5 SEA=3
