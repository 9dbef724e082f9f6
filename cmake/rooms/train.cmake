# train: optimizers, schedules, checkpoints, metrics, progress; the loop on top of them. LibTorch and nlohmann-json (only here).
# It brings the rooms of <penstock/penstock.hpp>: a trainer has data, and one line of CMake links it.
penstock_need_room(tensor)
penstock_need_room(dist)
find_package(nlohmann_json 3.10 QUIET)
if(nlohmann_json_FOUND)
  penstock_room(train USES tensor dist io WITH stages ranges formats image LIBS nlohmann_json::nlohmann_json HEADERS
    train.hpp
    train/autocast.hpp
    train/checkpoint.hpp
    train/checksum.hpp
    train/clip.hpp
    train/csv_log.hpp
    train/durable_file.hpp
    train/engine.hpp
    train/feedback.hpp
    train/fit.hpp
    train/fit_agreement.hpp
    train/fit_checkpoints.hpp
    train/fit_ledger.hpp
    train/fit_log.hpp
    train/fit_options.hpp
    train/fit_parts.hpp
    train/fit_position.hpp
    train/fit_run.hpp
    train/folder_lock.hpp
    train/gradient_watch.hpp
    train/hold_signal.hpp
    train/load_checkpoint.hpp
    train/loss.hpp
    train/manifest.hpp
    train/module.hpp
    train/named.hpp
    train/optimizer.hpp
    train/pace.hpp
    train/precision.hpp
    train/progress.hpp
    train/progress_text.hpp
    train/read_safetensors.hpp
    train/restore.hpp
    train/rng.hpp
    train/safetensors.hpp
    train/save_checkpoint.hpp
    train/schedule.hpp
    train/settings.hpp
    train/signals.hpp
    train/summary.hpp
    train/validate.hpp
    train/window.hpp
    train/write_safetensors.hpp
  )
else()
  penstock_room_off(train "needs nlohmann-json 3.10 or newer" "apt install nlohmann-json3-dev")
endif()
