// Implements: agree(ctx, claims, who, hint), the check that all ranks were given the same.
#pragma once

#include <penstock/core/errors.hpp>   // defines: config_error, message
#include <penstock/core/random.hpp>   // defines: child_key
#include <penstock/dist/context.hpp>  // defines: context

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::dist {

/// What a rank was given, as text by name, in the order in which ranks compare it. A name reads after "the same".
using claims = std::vector<std::pair<std::string, std::string>>;

namespace detail {

inline std::string packed(claims const& list) {
    std::string out = "+";  // an empty list is knowledge too
    for (auto const& [name, value] : list) ((out += name) += '\0') += value + '\0';
    return out;
}
inline std::optional<claims> unpacked(std::string_view text) {
    if (!text.starts_with('+')) return std::nullopt;
    text.remove_prefix(1);
    claims out;
    auto const word = [&] {
        auto const cut = (std::min)(text.find('\0'), text.size());
        auto const first = std::string(text.substr(0, cut));
        text.remove_prefix((std::min)(cut + 1, text.size()));
        return first;
    };
    while (!text.empty() && text.front() != '\0') {
        auto name = word();
        out.emplace_back(std::move(name), word());
    }
    return out;
}

/// "rank 1", "ranks 0, 2", "ranks 0, 1, 2, 3, 4, 5, 6, 7, ... (64 of them)".
inline std::string rank_list(std::vector<int> const& ranks) {
    std::string out = ranks.size() == 1 ? "rank " : "ranks ";
    for (std::size_t i = 0; i != (std::min)(ranks.size(), std::size_t{8}); ++i) out += message(i == 0 ? "" : ", ", ranks[i]);
    return ranks.size() <= 8 ? out : out + message(", ... (", ranks.size(), " of them)");
}

/// The first name on which the lists differ, and who has what: the value of most ranks first. Ranks without a list say nothing.
inline std::string first_difference(std::vector<std::optional<claims>> const& lists) {
    std::vector<std::string> names;
    for (auto const& list : lists)
        if (list)
            for (auto const& claim : *list)
                if (std::ranges::find(names, claim.first) == names.end()) names.push_back(claim.first);
    for (auto const& name : names) {
        std::map<std::string, std::vector<int>> who;
        for (std::size_t r = 0; r != lists.size(); ++r) {
            if (!lists[r]) continue;
            auto const found = std::ranges::find(*lists[r], name, &claims::value_type::first);
            who[found == lists[r]->end() ? "nothing" : '\'' + found->second + '\''].push_back(static_cast<int>(r));
        }
        if (who.size() < 2) continue;
        std::vector<std::pair<std::string, std::vector<int>>> groups(who.begin(), who.end());
        std::ranges::stable_sort(groups, [](auto const& a, auto const& b) { return a.second.size() != b.second.size() ? a.second.size() > b.second.size() : a.second < b.second; });
        auto text = message("the same ", name, ", got ");
        for (std::size_t i = 0; i != (std::min)(groups.size(), std::size_t{4}); ++i) text += message(i == 0 ? "" : ", ", groups[i].first, " on ", rank_list(groups[i].second));
        return groups.size() <= 4 ? text : text + message(", and ", groups.size() - 4, groups.size() == 5 ? " other value" : " other values");
    }
    return "the same things in the same order, got another order";
}

}  // namespace detail

/// A collective: every rank says what it was given; where all say the same it costs one small all-reduce, whatever the length of the lists.
/// A rank that passes nullopt does not know (it has no sample, say) and gets the list of the others; nullopt comes back where nobody knows.
///
/// Errors: config_error, the same on all ranks, with the first name whose values differ, the values and the ranks that have them.
inline std::optional<claims> agree(context& ctx, std::optional<claims> mine, std::string_view who, std::string_view hint) {
    if (ctx.world_size() == 1) return mine;
    constexpr auto most = (std::numeric_limits<std::int64_t>::max)();
    auto const text = mine ? detail::packed(*mine) : std::string();
    auto const hash = std::bit_cast<std::int64_t>(child_key(0, text));
    auto t = at::full({5}, most, at::kLong);  // all minima: ~x turns the last one into a maximum
    auto* const slot = t.mutable_data_ptr<std::int64_t>();
    slot[3] = mine ? 1 : 0;
    if (mine) {
        slot[0] = hash;
        slot[1] = ~hash;
        slot[2] = ctx.rank();
        slot[4] = static_cast<std::int64_t>(text.size());
    }
    ctx.all_reduce(t, c10d::ReduceOp::MIN);
    auto const teller = slot[2];
    if (teller == most) return std::nullopt;
    if (slot[0] == ~slot[1]) {
        if (slot[3] == 1) return mine;
        auto bytes = at::zeros({slot[4]}, at::kByte);
        if (ctx.rank() == teller) std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
        ctx.broadcast(bytes, static_cast<int>(teller));
        return detail::unpacked({static_cast<char const*>(bytes.const_data_ptr()), bytes.nbytes()});
    }
    auto longest = at::full({1}, static_cast<std::int64_t>(text.size()), at::kLong);
    ctx.all_reduce(longest, c10d::ReduceOp::MAX);
    auto const row = longest.item<std::int64_t>();
    auto all = at::zeros({ctx.world_size(), row}, at::kByte);
    std::memcpy(all.mutable_data_ptr<std::uint8_t>() + row * ctx.rank(), text.data(), text.size());
    ctx.all_reduce(all);
    std::vector<std::optional<claims>> lists;
    for (int r = 0; r != ctx.world_size(); ++r)
        lists.push_back(detail::unpacked({reinterpret_cast<char const*>(all.data_ptr<std::uint8_t>()) + row * r, static_cast<std::size_t>(row)}));
    throw config_error(message(who, ": all ranks must have ", detail::first_difference(lists), "\n  HINT: ", hint));
}

}  // namespace penstock::dist
