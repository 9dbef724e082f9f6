#!/usr/bin/env bash
# Implements: tests/run.sh with stand-ins for the set-up, cmake and ctest.
#
# usage: run_test.sh CHECKOUT
set -euo pipefail

checkout=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/tree/tests" "$work/tree/cmake"
cp "$checkout/tests/run.sh" "$work/tree/tests/"

stub() {
    { printf '#!/usr/bin/env bash\nstate=%q\n' "$work"; cat; } >"$1"
    chmod +x "$1"
}
stub "$work/tree/cmake/bootstrap.sh" <<'STUB'
echo "bootstrap $PENSTOCK_TEST_TOOLS" >>"$state/log"
STUB
stub "$work/bin/cmake" <<'STUB'
echo "cmake $* at $(nice)" >>"$state/log"
! grep -qsxF -- "$*" "$state/fails"
STUB
stub "$work/bin/ctest" <<'STUB'
echo "ctest $*" >>"$state/log"
sleep 0.3
if grep -qsF -- "$2" "$state/fails"; then
    echo "97% tests passed, 1 tests failed out of 40"
    exit 8
fi
echo "100% tests passed, 0 tests failed out of 40"
STUB

# run ARGUMENT...: sets `status` and `said`
run() {
    : >"$work/log"
    status=0
    said=$(PATH="$work/bin:$PATH" CXX=$compiler PENSTOCK_JOBS=3 "$work/tree/tests/run.sh" "$@" 2>&1) || status=$?
}
compiler=g++
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
done_in_order() { diff <(printf '%s\n' "$@") <(sed 's/ at .*//' "$work/log"); }

stub "$work/bin/clang++-19" <<'STUB'
STUB
compiler=
run
expect "a new Clang compiles the tests" grep -q "^cmake --preset ci -DCMAKE_CXX_COMPILER=clang++-19 at" "$work/log"
expect "and not those with threads" grep -q "^cmake --preset tsan at" "$work/log"
compiler=g++

run -L unit
expect "all is well" test "$status" = 0
expect "both builds count" says "80 passed, 0 failed"
expect "the time is told" says "tests_minutes 0.0"
expect "the set-up is asked for the tools" grep -q "^bootstrap 1$" "$work/log"
expect "the arguments reach ctest" grep -q "^ctest --test-dir build/tsan .* -L unit$" "$work/log"
expect "the first build has the machine" grep -q "^cmake --build --preset ci --parallel 3 at $(nice)$" "$work/log"
expect "the second one what the tests leave" grep -q "^cmake --build --preset tsan --parallel 3 at 19$" "$work/log"

echo build/ci >"$work/fails"
run
expect "a failed test is a failure" test "$status" = 1
expect "and counted" says "79 passed, 1 failed"
expect "by its preset" says "failed in: ci"
expect "and the other preset is tested" grep -q "ctest --test-dir build/tsan" "$work/log"

echo "--build --preset tsan --parallel 3" >"$work/fails"
run
expect "a failed build is a failure" test "$status" = 1
expect "by its preset" says "tsan does not build"
echo "--preset ci" >"$work/fails"
run
expect "a failed configure is a failure" test "$status" = 1
expect "and ends it" done_in_order "bootstrap 1" "cmake --preset ci"

if ((failures)); then exit 1; fi
echo "run: all as expected"
