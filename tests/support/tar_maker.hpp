// Implements: tar_maker, raw tar bytes for tests, written independently of the library, and runs of python3 and GNU tar.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace penstock::test {

struct tar_maker {
    std::string bytes{};

    static std::string octal(std::uint64_t value, int digits) {
        char text[32];
        std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
        return text;
    }
    static void put(std::string& block, std::size_t at, std::string_view text) { block.replace(at, text.size(), text); }
    static void sum(std::string& block) {
        put(block, 148, "        ");
        unsigned total = 0;
        for (auto c : block) total += static_cast<unsigned char>(c);
        put(block, 148, octal(total, 6) + std::string("\0 ", 2));
    }
    static std::string header(std::string_view name, std::uint64_t size, char type = '0', std::string_view magic = std::string_view("ustar\00000", 8)) {
        auto block = std::string(512, '\0');
        put(block, 0, name);
        put(block, 100, std::string_view("0000644\0", 8));
        put(block, 124, octal(size, 11));
        put(block, 156, std::string_view(&type, 1));
        put(block, 257, magic);
        sum(block);
        return block;
    }
    tar_maker& add(std::string_view name, std::string_view data, char type = '0') {
        bytes += header(name, data.size(), type);
        return pad(data);
    }
    tar_maker& pad(std::string_view data) {
        bytes += data;
        bytes.resize((bytes.size() + 511) / 512 * 512, '\0');
        return *this;
    }
    tar_maker& end() {
        bytes.resize(bytes.size() + 1024, '\0');
        return *this;
    }
    static std::string pax(std::string_view key, std::string_view value) {
        auto const rest = 3 + key.size() + value.size();
        auto length = rest + 1;
        while (std::to_string(length).size() + rest != length) ++length;
        return std::to_string(length) + " " + std::string(key) + "=" + std::string(value) + "\n";
    }
};

/// Runs a shell command, which must succeed.
inline void shell(std::string const& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

}  // namespace penstock::test
