#!/usr/bin/env bash
# Implements: set up this machine, build and run every test: those without LibTorch under the address and undefined-behaviour
# sanitizers, those of them with threads under the thread sanitizer as well. A program that ends with "illegal instruction" met
# undefined behaviour: PENSTOCK_TEST_PRESETS=dev says what it was.
#
# usage: tests/run.sh [ctest arguments]      for example: tests/run.sh -L unit ; tests/run.sh -R take
#   PENSTOCK_TEST_PRESETS="ci"   only these presets (default: "ci tsan"; others: dev)
#   PENSTOCK_JOBS=N              compile and test with N processes (default: the number of cores)
# Safe to repeat: what is built stays built, in build/<preset>.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
read -ra presets <<<"${PENSTOCK_TEST_PRESETS:-ci tsan}"
jobs=${PENSTOCK_JOBS:-$(nproc)}
SECONDS=0

say() { printf '\n== tests/run.sh [%d:%02d]: %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"; }

case "${1:-}" in
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
esac

say "set-up (cmake/bootstrap.sh)"
PENSTOCK_TEST_TOOLS=1 cmake/bootstrap.sh
mkdir -p build
SECONDS=0

torch=()
[[ -z ${PENSTOCK_TORCH_DIR:-} ]] || torch=("-DPENSTOCK_TORCH_DIR=$PENSTOCK_TORCH_DIR")
output=$(mktemp build/ctest.XXXXXX)
building=
trap '[[ -z $building ]] || kill "$building" 2>/dev/null; rm -f "$output"' EXIT
passed=0 failed=0 broken=()

# A new Clang compiles the tests in half of the time; who names a compiler in CXX gets that one. The tests with threads are compiled by the default compiler too.
compiler=()
if [[ -z ${CXX:-} ]]; then
    for clang in clang++-{19,18,17}; do
        if "$clang" -fsanitize=address -x c++ - -o /dev/null <<<'int main() {}' 2>/dev/null; then
            compiler=("-DCMAKE_CXX_COMPILER=$clang")
            break
        fi
    done
fi
build() {
    local by=()
    [[ $1 == tsan ]] || by=("${compiler[@]}")
    cmake --preset "$1" "${torch[@]}" "${by[@]}" && cmake --build --preset "$1" --parallel "$jobs"
}

say "${presets[0]}: build with $jobs processes"
build "${presets[0]}"
for i in "${!presets[@]}"; do
    preset=${presets[i]} next=${presets[i + 1]:-}
    # The next build takes what the tests leave: many of them wait for time-outs, and none feels a process of the lowest priority.
    if [[ -n $next ]]; then
        (renice -n 19 "$BASHPID" >/dev/null && build "$next") >"build/$next.log" 2>&1 &
        building=$!
    fi
    say "$preset: ctest $*"
    status=0
    ctest --test-dir "build/$preset" --output-on-failure --no-tests=ignore --parallel "$jobs" "$@" 2>&1 | tee "$output" || status=$?
    # "97% tests passed, 2 tests failed out of 60"
    counts=$(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\1 \2/p' "$output" | tail -n 1)
    read -r bad all <<<"${counts:-0 0}"
    passed=$((passed + all - bad)) failed=$((failed + bad))
    ((status == 0)) || broken+=("$preset")
    if [[ -n $next ]]; then
        say "$next: build with $jobs processes, begun while the tests ran"
        status=0
        wait "$building" || status=$?
        building=
        cat "build/$next.log"
        ((status == 0)) || { printf 'tests/run.sh: %s does not build\n' "$next" >&2; exit 1; }
    fi
done

say "presets: ${presets[*]}"
printf '%d passed, %d failed\n' "$passed" "$failed"
printf 'tests_minutes %d.%d\n' $((SECONDS / 60)) $((SECONDS % 60 / 6))
if ((${#broken[@]})); then
    printf 'tests/run.sh: failed in: %s\n' "${broken[*]}" >&2
    exit 1
fi
if ((passed == 0)); then
    printf 'tests/run.sh: no test ran\n' >&2
    exit 1
fi
