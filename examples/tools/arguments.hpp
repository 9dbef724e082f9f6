// Implements: arguments, the command line of a tool: flags, options with a value, and the rest.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tools {

class arguments {
public:
    /// `flags` stand alone, `options` take the next word or what follows '='; "--" ends both. config_error for any other that begins with '-'.
    arguments(int argc, char const* const* argv, std::set<std::string> const& flags, std::set<std::string> const& options) {
        bool open = true;
        for (int i = 1; i < argc; ++i) {
            auto word = std::string(argv[i]);
            if (open && word == "--") {
                open = false;
            } else if (open && word.size() > 1 && word[0] == '-') {
                auto const equals = word.find('=');
                auto const name = word.substr(0, equals);
                if (equals == word.npos && flags.contains(name)) flags_.insert(name);
                else if (!options.contains(name)) throw penstock::config_error(penstock::message("unknown option ", word, "\n  HINT: --help lists them"));
                else if (equals != word.npos) values_[name] = word.substr(equals + 1);
                else if (i + 1 < argc) values_[name] = argv[++i];
                else throw penstock::config_error(penstock::message(name, " needs a value\n  HINT: --help shows which"));
            } else words_.push_back(word);
        }
    }

    bool has(std::string const& flag) const { return flags_.contains(flag); }
    std::vector<std::string> const& words() const { return words_; }
    std::uint64_t number(std::string const& option, std::uint64_t otherwise, std::uint64_t least, std::uint64_t most) const {
        auto const found = values_.find(option);
        if (found == values_.end()) return otherwise;
        auto const& text = found->second;
        std::uint64_t value = 0;
        auto const [end, why] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (why != std::errc{} || end != text.data() + text.size() || value < least || value > most)
            throw penstock::config_error(penstock::message(option, " must be a number from ", least, " to ", most, ", got '", text, "'\n  HINT: --help shows an example"));
        return value;
    }

private:
    std::set<std::string> flags_{};
    std::map<std::string, std::string> values_{};
    std::vector<std::string> words_{};
};

}  // namespace tools
