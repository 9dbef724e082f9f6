// Implements: detail::linked_stop, a stop source of one's own that stops with another one as well.
#pragma once

#include <optional>
#include <stop_token>
#include <utility>

namespace penstock::detail {

class linked_stop {
public:
    std::stop_token token() const { return own_.get_token(); }
    void request() { own_.request_stop(); }
    /// Starts anew, under `outer`: an earlier one stops this no more.
    void link(std::stop_token outer) {
        outer_.reset();
        own_ = std::stop_source();
        outer_.emplace(std::move(outer), forward{&own_});
    }

private:
    struct forward {
        std::stop_source* to;
        void operator()() const { to->request_stop(); }
    };
    std::stop_source own_;
    std::optional<std::stop_callback<forward>> outer_;  // after what it stops
};

}  // namespace penstock::detail
