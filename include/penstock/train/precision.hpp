// Implements: precision, the number formats of a run, and what this machine can do with them.
#pragma once

#include <penstock/core/errors.hpp>     // defines: config_error, message
#include <penstock/train/autocast.hpp>  // defines: autocast

#include <ATen/Context.h>
#include <c10/core/Device.h>

#include <fstream>
#include <istream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace penstock::train {

enum class precision {
    fp32,        ///< 32 bits everywhere
    tf32,        ///< 32 bits; CUDA may multiply matrices with 10-bit mantissas
    bf16_mixed,  ///< weights in 32 bits, forward and loss under autocast to bfloat16; no loss scale is needed
    automatic,   ///< bf16_mixed where the hardware has it, else fp32
};

inline char const* name_of(precision p) {
    switch (p) {
        case precision::fp32: return "fp32";
        case precision::tf32: return "tf32";
        case precision::bf16_mixed: return "bf16_mixed";
        case precision::automatic: return "automatic";
    }
    return "?";
}

/// Which bfloat16 instructions a processor has and the kernel lets programs use.
struct cpu_bf16 {
    bool avx512 = false;
    bool amx = false;
    bool arm = false;
    [[nodiscard]] bool any() const { return avx512 || amx || arm; }
};

/// Reads the first processor of a /proc/cpuinfo text.
inline cpu_bf16 parse_cpuinfo(std::istream& in) {
    cpu_bf16 out;
    for (std::string line; std::getline(in, line);) {
        if (!line.starts_with("flags") && !line.starts_with("Features")) continue;
        std::istringstream words(line);
        for (std::string w; words >> w;) {
            out.avx512 = out.avx512 || w == "avx512_bf16";
            out.amx = out.amx || w == "amx_bf16";
            out.arm = out.arm || w == "bf16";
        }
        break;
    }
    return out;
}

inline cpu_bf16 detect_cpu() {
    std::ifstream in("/proc/cpuinfo");
    return parse_cpuinfo(in);
}

/// The precision of a run, and one sentence why when it is not the one that was asked for (else empty).
struct chosen_precision {
    train::precision precision = train::precision::fp32;
    std::string why{};
};

/// Decides for a device. `cuda_major` is the major compute capability of a CUDA device where the caller knows it; unknown counts as recent.
inline chosen_precision resolve(precision wanted, at::Device device, cpu_bf16 cpu = detect_cpu(), std::optional<int> cuda_major = {}) {
    auto fp32 = [&](auto const&... why) { return chosen_precision{precision::fp32, message(name_of(wanted), " becomes fp32: ", why...)}; };
    bool const mixed = wanted == precision::bf16_mixed || wanted == precision::automatic;
    if (wanted == precision::fp32) return {};
    if (device.is_cuda()) {
        if (cuda_major.value_or(8) >= 8) return {mixed ? precision::bf16_mixed : precision::tf32, {}};
        return fp32("compute capability ", *cuda_major, ".x has no tensor cores for it, 8.0 does");
    }
    if (!device.is_cpu()) throw config_error(message("resolve(precision, device): device must be cpu or cuda, got ", device.str(), "\n  HINT: ask for fp32"));
    if (wanted == precision::tf32) return fp32("only CUDA devices have it");
    if (!cpu.any()) return fp32("this processor has neither avx512_bf16 nor amx_bf16, bfloat16 would only be slower");
    return {precision::bf16_mixed, {}};
}

/// Sets the process-wide switches of a run: whether CUDA may round the inputs of float matrix products.
inline void apply(precision p) {
    bool const rounded = p == precision::tf32 || p == precision::bf16_mixed;
    if (!at::globalContext().hasCUDA()) return;
    at::globalContext().setFloat32MatmulPrecision(rounded ? "high" : "highest");
    at::globalContext().setAllowTF32CuDNN(rounded);
}

/// The scope of forward and loss of one micro-batch: autocast for bf16_mixed, nothing otherwise.
class [[nodiscard]] forward_scope {
public:
    forward_scope(precision p, at::DeviceType device) {
        if (p == precision::bf16_mixed) autocast_.emplace(device, at::kBFloat16);
    }

private:
    std::optional<autocast> autocast_;
};

}  // namespace penstock::train
