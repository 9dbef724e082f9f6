// Implements: settings, what a part of a run was given, as text by name.
#pragma once

#include <charconv>
#include <string>
#include <utility>
#include <vector>

namespace penstock::train {

/// In the order in which the ranks of a run compare it: an optimizer, or a part of fit, that has `settings()` is compared by it.
using settings = std::vector<std::pair<std::string, std::string>>;

/// The shortest text that no other double has.
inline std::string exact_text(double x) {
    char digits[32];
    return {digits, std::to_chars(digits, digits + sizeof digits, x).ptr};
}

}  // namespace penstock::train
