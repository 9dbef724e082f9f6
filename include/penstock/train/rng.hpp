// Implements: LibTorch's random generators of this process: seeded, saved, restored; and the switches for repeatable kernels.
#pragma once

#include <penstock/core/errors.hpp>  // defines: state_error, message
#include <penstock/core/random.hpp>  // defines: mix64
#include <penstock/train/named.hpp>  // defines: named_tensors

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace penstock::train {

namespace detail {

inline std::vector<std::pair<std::string, at::Generator>> generators() {
    std::vector<std::pair<std::string, at::Generator>> out;
    out.emplace_back("rng.cpu", at::detail::getDefaultCPUGenerator());
    if (at::globalContext().hasCUDA())
        for (int i = 0; i < at::detail::getCUDAHooks().getNumGPUs(); ++i)
            out.emplace_back("rng.cuda." + std::to_string(i),
                             at::globalContext().defaultGenerator(at::Device(at::kCUDA, static_cast<at::DeviceIndex>(i))));
    return out;
}

}  // namespace detail

/// Seeds the generator of the host and of every CUDA device: call it with one seed on all ranks before the model is made. Models are alike then, and
/// engine (so fit too) parts the generators of the ranks afterwards: every rank draws dropout masks of its own. Ranks that are threads of one process
/// share one generator, which nothing parts.
inline void seed_generators(std::uint64_t seed) {
    for (auto& [name, g] : detail::generators()) {
        std::scoped_lock lock(g.mutex());  // a generator may be in use by another thread
        g.set_current_seed(seed);
    }
}

/// Gives every rank numbers of its own from here on, whatever it was seeded with: LibTorch's generators start with one constant on every rank.
/// Rank 0 goes on with the numbers that it had, so that a world of 1 draws what it draws without us.
inline void part_generators(int rank) {
    if (rank == 0) return;
    for (auto& [name, g] : detail::generators()) {
        std::scoped_lock lock(g.mutex());
        g.set_current_seed(mix64(mix64(g.current_seed()) + static_cast<std::uint64_t>(rank)));
    }
}

/// The states of all generators as byte tensors: rng.cpu (5,056 bytes), rng.cuda.0, ...
inline named_tensors save_generators() {
    named_tensors out;
    for (auto& [name, g] : detail::generators()) {
        std::scoped_lock lock(g.mutex());
        out.emplace_back(name, g.get_state().clone());
    }
    return out;
}

/// Restores what save_generators gave; other names are passed over, so a rank's whole file may be given.
///
/// Errors: state_error when the host's state is missing or not one. A CUDA device without a saved state keeps its own: another device count.
inline void load_generators(named_tensors const& saved) {
    for (auto& [name, g] : detail::generators()) {
        at::Tensor state;
        for (auto const& [key, t] : saved)
            if (key == name) state = t;
        if (!state.defined()) {
            if (name != "rng.cpu") continue;
            throw state_error("load_generators: must hold 'rng.cpu', got a state without it\n  HINT: pass the tensors of the rank's own file");
        }
        std::scoped_lock lock(g.mutex());
        try {
            g.set_state(state);
        } catch (c10::Error const& bad) {
            throw state_error(message("load_generators: '", name, "' is not a state of this LibTorch: ", bad.what_without_backtrace(),
                                      "\n  HINT: load it with the LibTorch version that wrote it"));
        }
    }
}

/// While alive, kernels without a repeatable form throw, cuDNN picks by rule and not by timing; the former switches come back afterwards.
class [[nodiscard]] deterministic {
public:
    explicit deterministic(bool on = true)
        : algorithms_(at::globalContext().deterministicAlgorithms()), warn_(at::globalContext().deterministicAlgorithmsWarnOnly()),
          cudnn_(at::globalContext().deterministicCuDNN()), benchmark_(at::globalContext().benchmarkCuDNN()) {
        if (on) set(true, false, true, false);
    }
    deterministic(deterministic const&) = delete;
    ~deterministic() { set(algorithms_, warn_, cudnn_, benchmark_); }

private:
    static void set(bool algorithms, bool warn, bool cudnn, bool benchmark) {
        auto& c = at::globalContext();
        c.setDeterministicAlgorithms(algorithms, warn);
        c.setDeterministicCuDNN(cudnn);
        c.setBenchmarkCuDNN(benchmark);
    }
    bool algorithms_, warn_, cudnn_, benchmark_;
};

}  // namespace penstock::train
