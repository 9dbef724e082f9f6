# train: optimizers, schedules, checkpoints, metrics, progress; the loop on top of them. LibTorch and nlohmann-json (only here).
include(penstock_torch OPTIONAL)
find_package(nlohmann_json 3.10 QUIET)
if(TARGET penstock::torch_cpu AND nlohmann_json_FOUND)
  penstock_room(train USES core LIBS penstock::torch_cpu nlohmann_json::nlohmann_json HEADERS
    train/autocast.hpp
    train/checkpoint.hpp
    train/checksum.hpp
    train/clip.hpp
    train/csv_log.hpp
    train/durable_file.hpp
    train/hold_signal.hpp
    train/load_checkpoint.hpp
    train/manifest.hpp
    train/metrics.hpp
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
    train/signals.hpp
    train/summary.hpp
    train/write_safetensors.hpp
  )
endif()
