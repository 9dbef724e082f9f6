#!/usr/bin/env bash
# Implements: brings a rival onto this machine and prints where it is: the compiler, or the Python that imports it.
#
# usage: benchmarks/comparative/setup.sh RIVAL      RIVAL: rust, torch (torchdata and WebDataset), tensorflow, grain, spdl, dali, mlx,
#                                                   streaming, litdata
#
# What is here already is only looked up. PENSTOCK_SKIP_RIVALS=1 installs nothing. On failure the last line says why, and the status is 1.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root
die() { printf '%s\n' "$*" >&2; exit 1; }
may_install() { [[ ${PENSTOCK_SKIP_RIVALS:-0} != 1 ]] || die "$1 is not here, and PENSTOCK_SKIP_RIVALS=1 forbids to install it"; }

# rust: any rustc; Debian's rustc-web is the newest one in Debian 12
rust() {
    local found
    for found in "${RUSTC:-}" "$(command -v rustc || true)" "$HOME/.cargo/bin/rustc"; do
        if [[ -n $found ]] && "$found" --version >/dev/null 2>&1; then
            printf '%s\n' "$found"
            return
        fi
    done
    may_install rustc
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then die "rustc is missing: apt install rustc-web"; fi
    apt-get install --yes --no-install-recommends rustc-web >/dev/null 2>&1 || die "rustc is missing, and apt could not install rustc-web"
    command -v rustc || die "rustc-web is installed, but there is no rustc"
}

# install_into ENV IMPORT PACKAGE...
install_into() {
    local env=$1 import=$2 log
    shift 2
    log=$(mktemp)
    "$env/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >"$log" 2>&1 ||
        die "pip could not install $*: $(grep -v '^[[:space:]]*$' "$log" | tail -n 1 | cut -c 1-150)"
    "$env/bin/python" -c "import $import" >"$log" 2>&1 || die "installed, but it does not import: $(tail -n 1 "$log" | cut -c 1-150)"
    rm -f "$log"
}

# python_env NAME IMPORT PACKAGE...: a virtual environment of its own, since these want different versions of the same packages
python_env() {
    local env=$root/.venv-rivals/$1
    if ! "$env/bin/python" -c "import $2" >/dev/null 2>&1; then
        may_install "$1"
        rm -rf "$env"
        mkdir -p "$root/.venv-rivals"
        "${PYTHON:-python3}" -m venv "$env" || die "there is no $env"
        install_into "$env" "${@:2}"
    fi
    printf '%s\n' "$env/bin/python"
}

# over_torch NAME IMPORT PACKAGE...: the same, with what the environment `torch` has, which is too large to be there twice
over_torch() {
    local below env=$root/.venv-rivals/$1 site
    below=$("${BASH_SOURCE[0]}" torch)
    if ! "$env/bin/python" -c "import $2" >/dev/null 2>&1; then
        may_install "$1"
        rm -rf "$env"
        "${PYTHON:-python3}" -m venv "$env" || die "there is no $env"
        site=$("$env/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
        "$below" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/below.pth"
        install_into "$env" "${@:2}"
    fi
    printf '%s\n' "$env/bin/python"
}

case "${1:-}" in
    rust) rust ;;
    torch) python_env torch 'torch, torchdata.nodes, webdataset' torch==2.11.0 torchdata==0.11.0 webdataset==1.0.2 numpy ;;
    tensorflow) python_env tensorflow tensorflow tensorflow-cpu==2.21.0 ;;
    grain) python_env grain grain grain==0.2.18 numpy ;;
    spdl) python_env spdl spdl.io spdl==0.8.0 spdl-io==0.8.0 numpy ;;
    dali) over_torch dali nvidia.dali.plugin.pytorch nvidia-dali-cuda130==2.4.0 ;;
    mlx) python_env mlx mlx.data mlx-data==0.1.0 numpy ;;
    streaming | litdata) over_torch streaming 'streaming, litdata' mosaicml-streaming==0.13.0 litdata==0.2.76 'huggingface-hub<1' ;;
    *) die "usage: benchmarks/comparative/setup.sh rust|torch|tensorflow|grain|spdl|dali|mlx|streaming|litdata" ;;
esac
