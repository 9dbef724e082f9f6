// Implements: the ledgers of a run in its checkpoints: what each rank used of the epoch, for a world of another size to go on.
#pragma once

#include <penstock/core/ledger.hpp>            // defines: ledger, interval_set
#include <penstock/train/load_checkpoint.hpp>  // defines: loaded_checkpoint, detail::read_part, detail::rank_file
#include <penstock/train/named.hpp>            // defines: named_tensors

#include <ATen/ATen.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace penstock::train {

inline constexpr std::string_view used_tensor = "ledger.used/", base_tensor = "ledger.base/";

/// One byte tensor per source, named `prefix` + source.
inline void put_ledger(named_tensors& out, std::string_view prefix, ledger const& l) {
    l.each([&](std::string const& source, interval_set const& positions) {
        auto const bytes = positions.bytes();
        auto t = at::empty({static_cast<std::int64_t>(bytes.size())}, at::kByte);
        std::memcpy(t.data_ptr(), bytes.data(), bytes.size());
        out.emplace_back(std::string(prefix) + source, std::move(t));
    });
}
inline ledger get_ledger(named_tensors const& in, std::string_view prefix) {
    ledger l;
    for (auto const& [name, t] : in)
        if (name.starts_with(prefix)) l.put(std::string_view(name).substr(prefix.size()), interval_set::parse({static_cast<std::uint8_t const*>(t.const_data_ptr()), t.nbytes()}));
    return l;
}

/// What the ranks that saved a checkpoint had used of its epoch, and the worlds before them.
struct used_before {
    ledger all{};
    double loss = 0;  ///< sum of their losses since the last log line
};
inline used_before read_ledgers(loaded_checkpoint const& c) {
    used_before u;
    for (int r = 0; r != c.about.world; ++r) {
        auto const part = detail::read_part(c.directory, c.about, detail::rank_file(r));
        u.all.merge(get_ledger(part, used_tensor));
        u.all.merge(get_ledger(part, base_tensor));
        for (auto const& [name, t] : part)
            if (name == "loss.sum") u.loss += t.item<double>();
    }
    return u;
}
/// What worlds before the one that saved the checkpoint had used; rank 0 keeps it for all.
inline ledger read_base(loaded_checkpoint const& c) { return get_ledger(detail::read_part(c.directory, c.about, detail::rank_file(0)), base_tensor); }

}  // namespace penstock::train
