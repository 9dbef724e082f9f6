#!/usr/bin/env bash
# Implements: the set-up of a fresh Debian 12 or Ubuntu 24.04 machine: packages through apt where it may, and a .venv that holds LibTorch.
#
# Safe to repeat and to run twice at once; silent when everything is there. Respected:
#   PENSTOCK_TORCH_DIR        a LibTorch of your own: no .venv is made
#   VIRTUAL_ENV, CONDA_PREFIX an active Python whose torch has the c10d headers: no .venv is made
#   PENSTOCK_SKIP_PACKAGES=1  packages are neither looked for nor installed
#   PENSTOCK_SKIP_TORCH=1     no .venv is made; the rooms dist, tensor and train stay off
#   PENSTOCK_TEST_TOOLS=1     what tests compare us with: other compilers (clang, clang-19) if there are none, WebDataset in the .venv (about 20 MB);
#                             without them those tests are skipped
#   PYTHON                    the interpreter that makes the .venv (default: python3)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly test_packages=('webdataset==1.0.2' 'braceexpand==0.1.7' 'numpy>=1.26' 'pyyaml>=6')
readonly torch_packages=('torch==2.11.0' 'nvidia-cuda-runtime==13.*' 'nvidia-cuda-cupti==13.*')

say() { printf 'bootstrap: %s\n' "$*"; }
die() { printf 'bootstrap: %s\n' "$*" >&2; exit 1; }

# version_at_least FOUND WANTED: both dotted numbers
version_at_least() {
    local have want i
    IFS=. read -ra have <<<"$1"
    IFS=. read -ra want <<<"$2"
    for i in "${!want[@]}"; do
        local h=${have[i]:-0}
        h=${h%%[!0-9]*}
        ((10#${h:-0} > 10#${want[i]})) && return 0
        ((10#${h:-0} < 10#${want[i]})) && return 1
    done
    return 0
}

# --- packages -------------------------------------------------------------------------------------------------------------------

# os_release FIELD
os_release() { sed -n "s/^$1=//p" /etc/os-release 2>/dev/null | tr -d '"'; }

# Sets `needed`: the libraries, by the names of this distribution. Commands are looked for by themselves, wherever they come from.
needed_packages() {
    needed=(librange-v3-dev catch2 libgloo-dev libspng-dev zlib1g-dev nlohmann-json3-dev libcli11-dev
        dataset-fashion-mnist)
    case "$os" in
        debian-12) needed+=(libboost1.81-dev libjpeg62-turbo-dev) ;;
        ubuntu-*) needed+=(libboost-dev libjpeg-turbo8-dev) ;;
        *) needed+=(libboost-dev libjpeg62-turbo-dev) ;;
    esac
}

# Sets `missing`: the packages to install.
missing_packages() {
    missing=()
    local status package
    # one call for all: dpkg-query prints nothing for a package it never heard of, and fails
    status=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "${needed[@]}" 2>/dev/null || true)
    for package in "${needed[@]}"; do
        grep -qx "ii $package" <<<"$status" || missing+=("$package")
    done
    local pair
    for pair in g++:g++ cmake:cmake ninja:ninja-build ccache:ccache git:git python3:python3; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    # python3-venv has no command of its own, and is needed only to make the .venv
    if [[ $torch_wanted == 1 ]] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi
}

install_packages() {
    local sudo=()
    if [[ $(id -u) != 0 ]]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            sudo=(sudo -n)
        else
            printf 'bootstrap: packages are missing and this user may not install them:\n' >&2
            printf '  %s\n' "${missing[@]}" >&2
            printf '  HINT: sudo apt-get update && sudo apt-get install --no-install-recommends %s\n' "${missing[*]}" >&2
            exit 1
        fi
    fi
    say "installing ${missing[*]}"
    local log
    log=$(mktemp)
    # the lock time-out lets a second bootstrap, or the system's own updates, finish first
    local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=600)
    if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install: ${missing[*]}
  HINT: the lines above are its last words; on Ubuntu the component 'universe' must be enabled (add-apt-repository universe)"
    fi
    rm -f "$log"
}

check_packages() {
    [[ ${PENSTOCK_SKIP_PACKAGES:-0} == 1 ]] && return
    os=$(os_release ID)-$(os_release VERSION_ID)
    if ! command -v dpkg-query >/dev/null; then
        local tool
        for tool in g++ cmake ninja git python3; do
            command -v "$tool" >/dev/null || die "'$tool' is missing, and this system ($os) has no apt
  HINT: install a C++20 compiler, CMake >= 3.25, Ninja, Git, Python 3, and Boost, libjpeg-turbo, libspng, zlib, nlohmann-json, Catch2, gloo's headers"
        done
        return
    fi
    local needed missing
    needed_packages
    missing_packages
    if ((${#missing[@]})); then
        take_lock
        missing_packages
    fi
    if ((${#missing[@]})); then
        install_packages
        missing_packages
        ((${#missing[@]} == 0)) || die "apt-get ended well, but these are still missing: ${missing[*]}"
    fi
    local found
    found=$(cmake --version | sed -n '1s/[^0-9]*//p')
    version_at_least "$found" 3.25 || die "CMake must be >= 3.25, got $found ($(command -v cmake))
  HINT: Debian 12 and Ubuntu 24.04 have it; elsewhere: $python -m pip install cmake"
    found=$("${CXX:-g++}" -dumpfullversion 2>/dev/null || "${CXX:-g++}" -dumpversion)
    [[ ${CXX:-g++} == *clang* ]] || version_at_least "$found" 12 || die "GCC must be >= 12, got $found (${CXX:-g++})
  HINT: install a newer one and name it: CXX=g++-12 $0"
}

# --- LibTorch -------------------------------------------------------------------------------------------------------------------

# has_torch DIR: DIR is a torch package (or an unpacked LibTorch) that our rooms can use
has_torch() { [[ -e $1/include/torch/csrc/distributed/c10d/reducer.hpp && -s $1/lib/libtorch_cpu.so ]]; }

# True when the user brings a LibTorch.
own_torch() {
    [[ ${PENSTOCK_SKIP_TORCH:-0} == 1 ]] && return 0
    if [[ -n ${PENSTOCK_TORCH_DIR:-} ]]; then
        has_torch "$PENSTOCK_TORCH_DIR" || die "PENSTOCK_TORCH_DIR must hold lib/libtorch_cpu.so and the c10d headers, got $PENSTOCK_TORCH_DIR
  HINT: name the folder 'torch' of an installed wheel, or of an unpacked LibTorch archive"
        return 0
    fi
    local prefix dir
    for prefix in "${VIRTUAL_ENV:-}" "${CONDA_PREFIX:-}"; do
        [[ -n $prefix && $prefix != "$venv" ]] || continue
        for dir in "$prefix"/lib/python3*/site-packages/torch; do
            has_torch "$dir" && return 0
        done
    done
    return 1
}

# Every file that the packages' own records name is there, with its size: what a broken download or a kill leaves behind is found.
venv_is_whole() {
    "$venv/bin/python" - "${torch_packages[@]}" <<'PYTHON'
import csv, pathlib, sys, sysconfig
site = pathlib.Path(sysconfig.get_paths()["purelib"])
for package in sys.argv[1:]:
    name, version = package.split("==")
    records = list(site.glob(f"{name.replace('-', '_')}-{version}.dist-info/RECORD"))
    if len(records) != 1:
        sys.exit(1)
    for path, _, size in csv.reader(records[0].open(newline="")):
        file = site / path
        if size and not path.endswith(".pyc") and not (file.is_file() and file.stat().st_size == int(size)):
            sys.exit(1)
PYTHON
}

# True when the .venv was finished by this script, for these packages, and LibTorch is still in it.
venv_is_ready() {
    [[ ! -e $making && -r $ready && $(<"$ready") == "${torch_packages[*]}" ]] || return 1
    local dir
    for dir in "$venv"/lib/python3*/site-packages/torch; do
        has_torch "$dir" && return 0
    done
    return 1
}

# penstock-making is in a .venv of ours from the first moment to the last, penstock-ready is written at the very end and says what was
# installed. So a killed run is known by the first and another version by the second; a .venv of the user's own, which is never
# emptied, has neither until it holds all that we need.
make_venv() {
    local log=$root/.venv.log attempt
    if [[ -e $making ]]; then
        say "the .venv was left half made; making it again"
        find "$venv/" -mindepth 1 -delete  # its contents: the .venv itself may be a link
    fi
    if [[ ! -x $venv/bin/python ]] || ! "$venv/bin/python" -c '' 2>/dev/null; then
        mkdir -p "$venv"
        : >"$making"
        "$python" -m venv "$venv"
    elif venv_is_whole; then
        printf '%s\n' "${torch_packages[*]}" >"$ready"
        return
    fi
    rm -f "$ready"
    say "installing ${torch_packages[*]} into .venv (about 530 MB, without the GPU libraries)"
    for attempt in 1 2 3; do
        # --no-deps: the GPU libraries that the wheel asks for are not needed by CPU programs; --force-reinstall repairs lost files
        if "$venv/bin/python" -m pip install --no-input --disable-pip-version-check --no-deps --force-reinstall \
            "${torch_packages[@]}" >"$log" 2>&1 && venv_is_whole; then
            rm -f "$log"
            printf '%s\n' "${torch_packages[*]}" >"$ready"
            rm -f "$making"
            return
        fi
        ((attempt == 3)) || { say "pip failed, trying again"; sleep $((attempt * 3)); }
    done
    tail -n 15 "$log" >&2
    die "pip could not install ${torch_packages[*]} into $venv
  HINT: the lines above are its last words (all of them: $log); it needs Python 3.10 or newer, and the package index
  HINT: without LibTorch: PENSTOCK_SKIP_TORCH=1; with one of your own: PENSTOCK_TORCH_DIR=<folder 'torch' of a wheel>"
}

# Beside LibTorch in the .venv. They are nice to have: what cannot be installed is said, and is no error.
add_test_packages() {
    [[ ${PENSTOCK_TEST_TOOLS:-0} == 1 && -r $ready ]] || return 0
    local stamp=$venv/penstock-test-tools
    [[ -r $stamp && $(<"$stamp") == "${test_packages[*]}" ]] && return 0
    take_lock
    say "installing ${test_packages[*]} into .venv, for tests"
    local log=$root/.venv.log
    # --no-deps: nothing that LibTorch's package asks for comes along, and nothing of it changes
    if "$venv/bin/python" -m pip install --no-input --disable-pip-version-check --no-deps "${test_packages[@]}" >"$log" 2>&1; then
        rm -f "$log"
        printf '%s\n' "${test_packages[*]}" >"$stamp"
    else
        say "pip could not install them ($log); the tests that need them are skipped"
    fi
}

# A second compiler reads all headers in the tests, and a new one compiles the tests in half of the time. Nice to have as well.
add_other_compilers() {
    [[ ${PENSTOCK_TEST_TOOLS:-0} == 1 && ${PENSTOCK_SKIP_PACKAGES:-0} != 1 ]] && command -v dpkg-query >/dev/null || return 0
    local missing=()
    [[ -n $(compgen -c clang++) ]] || missing+=(clang)
    compgen -c clang++- | grep -q -- '-1[789]$' || missing+=(clang-19 libclang-rt-19-dev)
    ((${#missing[@]})) || return 0
    take_lock
    (install_packages) || say "there is no second compiler; the tests that need it are skipped, and the others compile for longer"
}

# The lock lies beside the .venv, not in it: making again removes everything inside. It is held until this shell ends.
take_lock() {
    [[ -z ${locked:-} ]] || return 0
    exec 9>"$root/.venv.lock"
    if ! flock -n 9; then
        say "another bootstrap is at work here; waiting for it"
        flock 9
    fi
    locked=1
}

venv=$root/.venv
making=$venv/penstock-making
ready=$venv/penstock-ready
python=${PYTHON:-python3}
torch_wanted=1
if own_torch || venv_is_ready; then torch_wanted=0; fi

check_packages
add_other_compilers
if [[ $torch_wanted == 0 ]]; then
    add_test_packages
    exit 0
fi

command -v "$python" >/dev/null || die "no Python interpreter '$python' to make the .venv with
  HINT: apt-get install python3 python3-venv"
take_lock
venv_is_ready || make_venv
add_test_packages
