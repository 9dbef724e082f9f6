#include <support/battery.hpp>

#include <atomic>
#include <concepts>
#include <set>
#include <stop_token>

#include <support/catch.hpp>

namespace ps = penstock;
namespace test = penstock::test;

namespace {

/// A stage that passes everything on and breaks one clause of the contract: that of check `Fault`. 0 breaks none.
template <class S, int Fault>
struct broken : ps::stage_over<S> {
    using item_type = typename S::item_type;

    explicit broken(S input, int workers = 2) : ps::stage_over<S>(std::move(input)), workers_(workers) {
        if constexpr (Fault == 1)
            thread_ = std::jthread([](std::stop_token stop) {
                while (!stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            });
    }
    broken(broken&& other) : ps::stage_over<S>(std::move(other)), thread_(std::move(other.thread_)), workers_(other.workers_), passed_(other.passed_), ends_(other.ends_), epoch_(other.epoch_) {
        if (Fault == 10 && passed_ != 0) skip_ = true;
        other.passed_ = 0;
    }
    ~broken() {
        if (Fault == 8 && passed_ == 3) std::this_thread::sleep_for(std::chrono::milliseconds(12));
    }

    std::optional<item_type> next() {
        if constexpr (Fault == 9 && !std::copy_constructible<item_type>) return std::nullopt;
        if (std::exchange(skip_, false)) (void)this->up.next();
        if (Fault == 12 && workers_ == 8 && passed_ == 0) (void)this->up.next();
        auto item = pulled();
        if (item) ++passed_;
        else if (Fault == 3 && ++ends_ == 3) {
            if constexpr (ps::resettable<S>) this->up.reset(epoch_);
            return this->up.next();
        }
        if constexpr (ps::is_keyed<item_type>)
            if (Fault == 13 && item && item->id == 1) item->cover = {};
        return item;
    }
    template <class F>
    bool for_each_while(F& f) {
        while (auto item = next())
            if (!f(std::move(*item))) {
                if (Fault == 2) (void)this->up.next();
                return false;
            }
        return true;
    }
    void reset(ps::epoch e)
        requires ps::resettable<S>
    {
        this->up.reset(e);
        epoch_ = e;
        passed_ = 0;
        ends_ = 0;
    }
    ps::size_hint hint() const
        requires ps::hinted<S>
    {
        auto h = this->up.hint();
        if (Fault == 6) ++h.lower;
        return h;
    }
    void save(ps::state_writer& w) const
        requires ps::resumable<S>
    {
        this->up.save(w);
        w.stage("broken", 1).put("passed", Fault == 5 ? saves_++ : passed_);
    }
    void load(ps::state_reader& r)
        requires ps::resumable<S>
    {
        this->up.load(r);
        try {
            passed_ = r.stage("broken", 1).get("passed");
        } catch (ps::state_error const&) {
            if (Fault != 14) throw;
        }
        if (Fault == 4 && passed_ != 0) skip_ = true;
    }

private:
    std::optional<item_type> pulled() {
        if constexpr (Fault == 7) {
            while (true) {
                try {
                    return this->up.next();
                } catch (ps::stage_error const&) {
                }
            }
        } else return this->up.next();
    }

    std::jthread thread_;
    int workers_;
    std::uint64_t passed_ = 0;
    mutable std::uint64_t saves_ = 0;
    int ends_ = 0;
    ps::epoch epoch_{};
    bool skip_ = false;
};

/// A pipeline whose iterator pulls when it is advanced, so a loop that stops has taken one item too many.
template <class P>
struct hasty : P {
    explicit hasty(P p) : P(std::move(p)) {}
    struct iterator {
        using value_type = typename P::item_type;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;
        hasty* p = nullptr;
        value_type& operator*() const { return *p->now; }
        iterator& operator++() { return p->advance(), *this; }
        void operator++(int) { ++*this; }
        friend bool operator==(iterator const& i, std::default_sentinel_t) { return !i.p->now; }
    };
    void advance() {
        now.reset();
        if (auto item = this->next()) now.emplace(std::move(*item));
    }
    iterator begin() { return advance(), iterator{this}; }
    std::default_sentinel_t end() const { return {}; }
    std::optional<typename P::item_type> now;
};

template <int Fault>
std::set<int> caught() {
    auto const all = test::findings(test::stage_case{
        .name = "broken",
        .make = [](auto src, int workers) {
            auto chain = std::move(src) | ps::stage("broken", [workers]<class S>(S input) { return broken<S, Fault>(std::move(input), workers); });
            if constexpr (Fault == 11) return hasty(std::move(chain));
            else return chain;
        },
        .model = [](std::vector<int> in) { return in; },
        .sizes = {0, 1, 7},
    });
    std::set<int> checks;
    for (auto const& f : all) {
        UNSCOPED_INFO("check " << f.check << ": " << f.text);
        checks.insert(f.check);
    }
    return checks;
}

}  // namespace

TEST_CASE("battery: a stage that keeps the contract passes", "[unit][battery]") { CHECK(caught<0>().empty()); }

TEMPLATE_TEST_CASE_SIG("battery: each breach is caught by its own check", "[unit][battery]", ((int fault), fault), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14) {
    CHECK(caught<fault>() == std::set<int>{fault});
}

TEST_CASE("battery: the text names stage, check and finding", "[unit][battery]") {
    auto const text = test::error_of<std::runtime_error>([] {
        test::battery(test::stage_case{
            .name = "off by one",
            .make = [](auto src) { return src; },
            .model = [](std::vector<int> in) {
                for (auto& i : in) ++i;
                return in;
            },
        });
        return 0;
    });
    CHECK(text.find("off by one breaks its contract") != text.npos);
    CHECK(text.find("check 2: n = 1: got {0}, expected {1}") != text.npos);
}

TEST_CASE("battery: debug_source reports use after a move and from two threads", "[unit][battery]") {
    auto const log = std::make_shared<test::probe>();
    test::debug_source<> first({.n = 3, .log = log});
    auto second = std::move(first);
    CHECK(second.next() == 0);
    CHECK(log->violations().empty());
    (void)first.next();
    REQUIRE(log->violations().size() == 1);
    CHECK(log->violations()[0].find("moved away") != std::string::npos);

    auto const slow = std::make_shared<test::probe>();
    test::debug_source<> shared({.n = 2, .delay = std::chrono::milliseconds(50), .log = slow});
    std::thread other([&] { (void)shared.next(); });
    while (slow->delays == 0) std::this_thread::yield();
    (void)shared.discard();
    other.join();
    REQUIRE(slow->violations().size() == 1);
    CHECK(slow->violations()[0].find("another thread") != std::string::npos);
}

TEST_CASE("battery: a source registers as well", "[unit][battery]") {
    test::battery(test::source_case{
        .name = "keyed_source",
        .make = [](int n, ps::world w) { return test::keyed_source(n, w); },
        .model = [](int n, test::facts const& f) { return test::detail::numbers({.n = n, .world = f.world}, f.epoch.index, false); },
        .broken = [](int n, int j) { return test::keyed_source(n, {}, {j}); },
    });
}
