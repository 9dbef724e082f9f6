#!/usr/bin/env bash
# Implements: cmake/bootstrap.sh with stand-ins for dpkg-query, apt-get, id, sudo and Python: nothing is installed, nothing downloaded.
#
# usage: bootstrap_test.sh CHECKOUT
set -euo pipefail

checkout=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
bin=$work/bin
mkdir -p "$tree/cmake" "$bin" "$work/state"
cp "$checkout/cmake/bootstrap.sh" "$tree/cmake/"

stub() {
    { printf '#!/usr/bin/env bash\nstate=%q\n' "$work/state"; cat; } >"$bin/$1"
    chmod +x "$bin/$1"
}
# a package is installed unless state/missing names it
stub dpkg-query <<'STUB'
for package in "${@:4}"; do
    grep -qx "$package" "$state/missing" || printf 'ii %s\n' "$package"
done
STUB
stub apt-get <<'STUB'
printf '%s\n' "$*" >>"$state/apt"
case " $* " in
    *" install "*) [[ -e $state/apt-fails ]] && { echo "E: no such package"; exit 100; }; : >"$state/missing" ;;
esac
STUB
stub id <<'STUB'
cat "$state/uid"
STUB
stub sudo <<'STUB'
exit 1
STUB
stub sleep <<'STUB'
exit 0
STUB
stub clang++ <<'STUB'
STUB
stub clang++-19 <<'STUB'
STUB
# python3, and the python of the .venv it makes
stub python3 <<'STUB'
case "$1 ${2:-} ${3:-}" in
    "-m venv "*)
        mkdir -p "$3/bin" "$3/lib/python3.11/site-packages"
        cp "$0" "$3/bin/python" ;;
    "-m pip install")
        echo pip >>"$state/pip"
        [[ -e $state/pip-fails ]] && { echo "no matching distribution"; exit 1; }
        site=$(dirname "$0")/../lib/python3.11/site-packages
        mkdir -p "$site/torch/lib" "$site/torch/include/torch/csrc/distributed/c10d"
        : >"$site/torch/include/torch/csrc/distributed/c10d/reducer.hpp"
        [[ -e $state/pip-is-killed ]] && kill -9 $PPID
        echo library >"$site/torch/lib/libtorch_cpu.so" ;;
    "- "*) [[ -s $(dirname "$0")/../lib/python3.11/site-packages/torch/lib/libtorch_cpu.so ]] ;;  # are all recorded files there?
esac
STUB

fresh() {
    rm -rf "$tree"/.venv* "$work"/state/*
    : >"$work/state/missing"
    : >"$work/state/pip"
    : >"$work/state/apt"
    echo 0 >"$work/state/uid"
}
# run [VARIABLE=value...]: sets `status` and `said`
run() {
    status=0
    said=$(env -u VIRTUAL_ENV -u CONDA_PREFIX -u PENSTOCK_TORCH_DIR PATH="$bin:$PATH" "$@" "$tree/cmake/bootstrap.sh" 2>&1) || status=$?
}
failures=0
expect() { # expect WHAT COMMAND...
    local what=$1
    shift
    if ! "$@"; then
        printf 'FAILED: %s\n  status %s, said:\n%s\n' "$what" "$status" "${said:-nothing}"
        failures=$((failures + 1))
    fi
}
says() { [[ $said == *"$1"* ]]; }
pips() { [[ $(grep -c . "$work/state/pip") == "$1" ]]; }
silent() { [[ -z $said ]]; }

fresh
run
expect "a fresh machine gets a .venv" test -s "$tree/.venv/lib/python3.11/site-packages/torch/lib/libtorch_cpu.so"
expect "it says so" says "installing torch=="
run
expect "the second run succeeds" test "$status" = 0
expect "the second run is silent" silent
expect "and installs nothing" pips 1

: >"$tree/.venv/lib/python3.11/site-packages/torch/lib/libtorch_cpu.so"
run
expect "an emptied library is installed again" pips 2

fresh
echo libspng-dev >"$work/state/missing"
run
expect "root installs what is missing" grep -q "install --no-install-recommends libspng-dev" "$work/state/apt"
expect "after an update" grep -q update "$work/state/apt"
expect "and goes on" test "$status" = 0

fresh
echo libspng-dev >"$work/state/missing"
echo 1000 >"$work/state/uid"
run
expect "a user without rights gets a failure" test "$status" = 1
expect "with the command to type" says "apt-get install --no-install-recommends libspng-dev"
expect "and apt-get is left alone" test ! -s "$work/state/apt"
expect "and no .venv is begun" test ! -e "$tree/.venv"
run PENSTOCK_SKIP_PACKAGES=1
expect "unless packages are not to be looked for" test "$status" = 0

fresh
echo libspng-dev >"$work/state/missing"
: >"$work/state/apt-fails"
run
expect "apt-get's failure is one" test "$status" = 1
expect "and its words are shown" says "E: no such package"

fresh
: >"$work/state/pip-is-killed"
run
expect "a killed run fails" test "$status" != 0
rm "$work/state/pip-is-killed"
touch "$tree/.venv/left-over"
run
expect "what it left is found out" says "half made"
expect "and removed" test ! -e "$tree/.venv/left-over"
expect "and made again" test "$status" = 0
run
expect "for good" silent

fresh
: >"$work/state/pip-fails"
run
expect "pip's failure is one" test "$status" = 1
expect "after three attempts" pips 3
expect "with its words" says "no matching distribution"
expect "and a way out" says "HINT"
rm "$work/state/pip-fails"
run
expect "and the next run is not confused" test "$status" = 0

fresh
PATH="$bin:$PATH" python3 -m venv "$tree/.venv"
touch "$tree/.venv/mine"
: >"$work/state/pip-is-killed"
run
expect "a killed run fails there too" test "$status" != 0
rm "$work/state/pip-is-killed"
run
expect "a .venv of the user's is kept" test -e "$tree/.venv/mine"
expect "and completed" test "$status" = 0

fresh
mkdir -p "$work/own"
run PENSTOCK_TORCH_DIR="$work/own"
expect "a wrong PENSTOCK_TORCH_DIR is refused" test "$status" = 1
expect "by its name" says "$work/own"
mkdir -p "$work/own/lib" "$work/own/include/torch/csrc/distributed/c10d"
echo x >"$work/own/lib/libtorch_cpu.so"
: >"$work/own/include/torch/csrc/distributed/c10d/reducer.hpp"
run PENSTOCK_TORCH_DIR="$work/own"
expect "a right one is taken" test "$status" = 0
expect "and no .venv is made" test ! -e "$tree/.venv"
mkdir -p "$work/env/lib/python3.12/site-packages"
mv "$work/own" "$work/env/lib/python3.12/site-packages/torch"
run VIRTUAL_ENV="$work/env"
expect "nor beside an active environment with torch" test ! -e "$tree/.venv"

fresh
run PENSTOCK_TEST_TOOLS=1
expect "a test run gets the tools too" says "webdataset==1.0.2"
expect "by a call of pip of their own" pips 2
run PENSTOCK_TEST_TOOLS=1
expect "once" silent
run
expect "and others do not ask for them" pips 2
rm "$tree/.venv/penstock-test-tools"
: >"$work/state/pip-fails"
run PENSTOCK_TEST_TOOLS=1
expect "tools that cannot be installed are no failure" test "$status" = 0
expect "but are told of" says "the tests that need them are skipped"
expect "and LibTorch is left as it is" test -s "$tree/.venv/lib/python3.11/site-packages/torch/lib/libtorch_cpu.so"
fresh
mkdir "$work/without"
cp -rs /usr/bin/. "$work/without"
find "$work/without" -name '*clang*' -delete
mkdir "$work/clang"
mv "$bin"/clang++* "$work/clang"
run PENSTOCK_TEST_TOOLS=1 PATH="$bin:$work/without"
expect "a test run gets the other compilers" grep -q "install --no-install-recommends clang clang-19 libclang-rt-19-dev" "$work/state/apt"
echo 1000 >"$work/state/uid"
run PENSTOCK_TEST_TOOLS=1 PATH="$bin:$work/without"
expect "who may not install goes on" test "$status" = 0
expect "and is told" says "there is no second compiler"
mv "$work"/clang/* "$bin"

fresh
run PENSTOCK_TEST_TOOLS=1 PENSTOCK_SKIP_TORCH=1
expect "without a .venv of ours there are none" silent

fresh
env -u VIRTUAL_ENV -u CONDA_PREFIX PATH="$bin:$PATH" "$tree/cmake/bootstrap.sh" >/dev/null 2>&1 &
env -u VIRTUAL_ENV -u CONDA_PREFIX PATH="$bin:$PATH" "$tree/cmake/bootstrap.sh" >/dev/null 2>&1 &
wait
run
expect "two at once make one .venv" pips 1
expect "that is ready" silent

if ((failures)); then exit 1; fi
echo "bootstrap: all as expected"
