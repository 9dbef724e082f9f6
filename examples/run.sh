#!/usr/bin/env bash
# Implements: the main job from nothing: set up this machine, turn Fashion-MNIST into shards, train a classifier on two ranks.
#
# usage: examples/run.sh [arguments of the trainer]     for example: examples/run.sh --epochs=2 --resume
#   PENSTOCK_NPROC=N   ranks (default 2)
#   PENSTOCK_DATA=DIR  where the shards go (default data/fashion-mnist)
#   PENSTOCK_IDX=DIR   where the data set lies (default: Debian's package dataset-fashion-mnist)
# Safe to repeat: what is set up, built and converted is not done again, and a run that is there is refused: --resume, or --checkpoint=FOLDER for another.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
build=$root/build/release
log=$build.log
data=${PENSTOCK_DATA:-$root/data/fashion-mnist}
idx=${PENSTOCK_IDX:-/usr/share/datasets/fashion-mnist}
ranks=${PENSTOCK_NPROC:-2}

case "${1:-}" in
    -h | --help)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
        if [[ -x $build/examples/train_classifier ]]; then "$build/examples/train_classifier" --help; else echo "(the trainer's own flags: after the first run)"; fi
        exit 0
        ;;
esac

say() { printf 'examples/run.sh: %s\n' "$*"; }
quietly() {
    if ! "$@" >>"$log" 2>&1; then
        tail -n 40 "$log" >&2
        printf 'examples/run.sh: failed: %s\n  HINT: the lines above are its last words; all of them: %s\n' "$*" "$log" >&2
        exit 1
    fi
}

say "1/4 set-up"
cmake/bootstrap.sh
mkdir -p build
: >"$log"

say "2/4 building for release (what it says: ${log#"$root"/})"
torch=()
[[ -z ${PENSTOCK_TORCH_DIR:-} ]] || torch=("-DPENSTOCK_TORCH_DIR=$PENSTOCK_TORCH_DIR")
quietly cmake --preset release "${torch[@]}"
targets=$(cmake --build "$build" --target help)
if [[ $targets != *$'\n'train_classifier:* ]]; then
    printf 'examples/run.sh: a room or a library of the trainer is missing here:\n' >&2
    grep '| off |' "$log" >&2 || printf '  CLI11: apt install libcli11-dev\n' >&2
    exit 1
fi
quietly cmake --build "$build" --parallel "${PENSTOCK_JOBS:-$(nproc)}" --target fashion_to_shards train_classifier penstock-doctor penstock-index

say "3/4 data: ${data#"$root"/}"
"$build/examples/fashion_to_shards" "$idx" "$data"

say "4/4 training on $ranks rank(s)"
exec "$build/examples/train_classifier" --nproc="$ranks" --data="$data" "$@"
