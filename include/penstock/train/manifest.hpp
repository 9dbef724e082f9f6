// Implements: manifest.json, written last into a checkpoint: what it is, which files belong to it, their sizes and checksums.
#pragma once

#include <penstock/core/errors.hpp>         // defines: state_error, message
#include <penstock/train/checksum.hpp>      // defines: crc32c
#include <penstock/train/durable_file.hpp>  // defines: durable_file
#include <penstock/train/named.hpp>         // defines: named_tensors
#include <penstock/train/safetensors.hpp>   // defines: string_map, file_mark

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace penstock::train {

/// What a checkpoint says about itself. Text that is not UTF-8 is written with replacement characters.
struct manifest {
    static constexpr int version = 1;
    std::uint64_t serial = 0;  ///< grows with every save into one directory: the newest is the last saved, whatever its step
    std::uint64_t step = 0;    ///< applied optimizer steps
    std::uint64_t epoch = 0;
    std::uint64_t samples = 0;
    int world = 1;
    std::string model{};  ///< fingerprint of names, types and shapes
    std::string chain{};  ///< description of the pipeline
    string_map metadata{};
    std::map<std::string, file_mark> files{};
};

/// CRC-32C over "name type shape" of every tensor: equal for models that can exchange weights.
inline std::string fingerprint(named_tensors const& model) {
    std::uint32_t crc = 0;
    for (auto const& [name, t] : model) {
        auto const line = message(name, ' ', t.scalar_type(), ' ', t.sizes(), '\n');
        crc = crc32c(line.data(), line.size(), crc);
    }
    return message(std::hex, crc);
}

namespace detail {
inline std::string compact(nlohmann::json const& j) { return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }
}  // namespace detail

inline void write_manifest(std::filesystem::path const& directory, manifest const& m) {
    nlohmann::json files = nlohmann::json::object();
    for (auto const& [name, mark] : m.files) files[name] = {{"bytes", mark.bytes}, {"crc32c", mark.checksum}};
    nlohmann::json body = {{"penstock_checkpoint", manifest::version}, {"serial", m.serial}, {"step", m.step}, {"epoch", m.epoch},
                           {"samples", m.samples}, {"world", m.world}, {"model", m.model}, {"chain", m.chain}, {"metadata", m.metadata},
                           {"files", files}};
    auto const text = detail::compact(body);
    nlohmann::json const whole = {{"manifest", nlohmann::json::parse(text)}, {"crc32c", crc32c(text.data(), text.size())}};
    durable_file out(directory / "manifest.json");
    out.write(whole.dump(2) + "\n");
    out.commit();
}

/// Errors: state_error that names the file: missing, unreadable, damaged, of another version.
inline manifest read_manifest(std::filesystem::path const& directory) {
    auto const path = directory / "manifest.json";
    std::ifstream in(path, std::ios::binary);
    if (!in) throw state_error(message("checkpoint(", directory.string(), "): must hold a readable manifest.json, got none\n  HINT: it is not a complete checkpoint"));
    std::string const text{std::istreambuf_iterator<char>(in), {}};
    try {
        auto const whole = nlohmann::json::parse(text);
        auto const& body = whole.at("manifest");
        auto const compact = detail::compact(body);
        if (whole.at("crc32c").get<std::uint32_t>() != crc32c(compact.data(), compact.size()))
            throw state_error(message("checkpoint(", path.string(), "): the checksum of the manifest is wrong\n  HINT: the file was changed or damaged"));
        if (auto const v = body.at("penstock_checkpoint").get<int>(); v != manifest::version)
            throw state_error(message("checkpoint(", path.string(), "): version must be ", manifest::version, ", got ", v,
                                      "\n  HINT: load it with the penstock version that wrote it"));
        manifest m{.serial = body.at("serial"), .step = body.at("step"), .epoch = body.at("epoch"), .samples = body.at("samples"),
                   .world = body.at("world"), .model = body.at("model"), .chain = body.at("chain"), .metadata = body.at("metadata")};
        for (auto const& [name, mark] : body.at("files").items()) m.files[name] = {mark.at("bytes"), mark.at("crc32c")};
        return m;
    } catch (nlohmann::json::exception const& bad) {
        throw state_error(message("checkpoint(", path.string(), "): the manifest is damaged: ", bad.what(), "\n  HINT: it is not a complete checkpoint"));
    }
}

}  // namespace penstock::train
