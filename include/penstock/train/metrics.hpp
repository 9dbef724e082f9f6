// Implements: sums and counts of metrics that stay on the device until they are logged.
#pragma once

#include <penstock/core/errors.hpp>  // defines: config_error, message

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::train {

/// Weighted means over an interval and over ranks: each metric is a pair (sum, weight), so uneven batches count by what they hold.
///
/// Order    the order of the names given
/// Buffers  two numbers (double) per metric on the device
/// Resume   no state: read and cleared at the end of each interval; save at such an edge
/// Threads  none; add() enqueues and never waits for the device, means() waits once
/// Errors   config_error for a name that was not declared, or declared twice
///
///     metric_sums sums({"loss", "accuracy"}, at::kCPU);
///     sums.add("loss", loss_sum, batch_weight);    // then all-reduce sums.packet() and print sums.means()
class metric_sums {
public:
    metric_sums(std::vector<std::string> names, at::Device device) : names_(std::move(names)) {
        for (std::size_t i = 0; i < names_.size(); ++i)
            if (!index_.emplace(names_[i], i).second)
                throw config_error(message("metric_sums: names must be unique, got '", names_[i], "' twice\n  HINT: prefix those of the validation"));
        packet_ = at::zeros({static_cast<std::int64_t>(2 * names_.size())}, at::TensorOptions(at::kDouble).device(device));
        for (std::int64_t i = 0; i < packet_.size(0); ++i) cells_.push_back(packet_.select(0, i));
    }

    /// Adds a sum over samples (or tokens) and their weight; either may live on the device.
    void add(std::string_view name, at::Tensor const& sum, double weight) {
        at::NoGradGuard off;
        auto const i = find(name);
        cells_[2 * i].add_(sum.detach());
        cells_[2 * i + 1].add_(weight);
    }
    void add(std::string_view name, at::Tensor const& sum, at::Tensor const& weight) {
        at::NoGradGuard off;
        auto const i = find(name);
        cells_[2 * i].add_(sum.detach());
        cells_[2 * i + 1].add_(weight.detach());
    }
    void add(std::string_view name, double sum, double weight) {
        at::NoGradGuard off;
        auto const i = find(name);
        cells_[2 * i].add_(sum);
        cells_[2 * i + 1].add_(weight);
    }

    /// (sum, weight) of every metric in one tensor, for one all-reduce in place.
    [[nodiscard]] at::Tensor packet() const { return packet_; }

    /// sum / weight of every metric, NaN where nothing was added; waits for the device.
    [[nodiscard]] std::vector<std::pair<std::string, double>> means() const {
        auto const host = packet_.to(at::kCPU);
        auto const* p = host.const_data_ptr<double>();
        std::vector<std::pair<std::string, double>> out;
        for (std::size_t i = 0; i < names_.size(); ++i) out.emplace_back(names_[i], p[2 * i] / p[2 * i + 1]);
        return out;
    }

    void clear() {
        at::NoGradGuard off;
        packet_.zero_();
    }

private:
    [[nodiscard]] std::size_t find(std::string_view name) const {
        auto const i = index_.find(name);
        if (i != index_.end()) return i->second;
        std::string known;
        for (auto const& n : names_) known += " " + n;
        throw config_error(message("metric_sums: must be a declared name, got '", name, "'\n  HINT: declared are:", known));
    }

    std::vector<std::string> names_;
    std::map<std::string, std::size_t, std::less<>> index_;
    at::Tensor packet_;
    std::vector<at::Tensor> cells_;
};

}  // namespace penstock::train
