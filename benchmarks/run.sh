#!/usr/bin/env bash
# Implements: builds benchmarks for speed, runs them, and prints a table each.
#
# usage: benchmarks/run.sh [--json] NAME...     NAME: a benchmark, a group, or all
#        benchmarks/run.sh --list
#   --json   one object per row on standard output, everything else on standard error
# A missed goal is printed as missed and is no failure of this script; a benchmark that does not run is one.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
build=$root/build/release
log=$build.log
json=0 list=0 names=()
for arg in "$@"; do
    case "$arg" in
        --json) json=1 ;;
        --list) list=1 ;;
        -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        -*) printf 'benchmarks/run.sh: unknown option %s\n  HINT: benchmarks/run.sh --help\n' "$arg" >&2; exit 2 ;;
        *) names+=("$arg") ;;
    esac
done
if ((${#names[@]} == 0 && list == 0)); then
    printf 'benchmarks/run.sh: name a benchmark or a group\n  HINT: benchmarks/run.sh --list\n' >&2
    exit 2
fi

say() { printf 'benchmarks/run.sh: %s\n' "$*" >&2; }
quietly() {
    if ! "$@" >>"$log" 2>&1; then
        tail -n 40 "$log" >&2
        say "failed: $* (all of it: $log)"
        exit 1
    fi
}

cmake/bootstrap.sh >&2
mkdir -p build
: >"$log"
torch=()
[[ -z ${PENSTOCK_TORCH_DIR:-} ]] || torch=("-DPENSTOCK_TORCH_DIR=$PENSTOCK_TORCH_DIR")
quietly cmake --preset release -DPENSTOCK_BUILD_BENCHMARKS=ON "${torch[@]}"

chosen=() targets=()
while IFS='|' read -r name groups command needs reason; do
    if ((list)); then printf '%-28s %s\n' "$name" "$groups"; fi
    for wanted in "${names[@]}"; do
        if [[ $wanted == "$name" || $wanted == all || " $groups " == *" $wanted "* ]]; then
            chosen+=("$name|$command|$reason")
            [[ -n $reason ]] || read -ra targets <<<"${targets[*]} $needs"
            break
        fi
    done
done <"$build/benchmarks/list.txt"
((list)) && exit 0
if ((${#chosen[@]} == 0)); then
    say "no benchmark and no group is called ${names[*]}"
    printf '  HINT: benchmarks/run.sh --list\n' >&2
    exit 2
fi

if ((${#targets[@]})); then
    say "building ${#targets[@]} target(s) for release"
    quietly cmake --build "$build" --parallel "${PENSTOCK_JOBS:-$(nproc)}" --target "${targets[@]}"
fi

export PENSTOCK_BUILD_DIR=$build
flags=()
((json)) && flags=(--json)
failed=()
for one in "${chosen[@]}"; do
    IFS='|' read -r name command reason <<<"$one"
    if [[ -n $reason ]]; then
        if ((json)); then
            printf '{"bench": "%s", "row": "%s", "value": null, "unit": "", "low": null, "high": null, "rounds": 0, "vs": null, "goal": null, "ok": null, "reason": "%s"}\n' \
                "$name" "$name" "$reason"
        else
            printf '%s\n  not run: %s\n' "$name" "$reason"
        fi
        continue
    fi
    say "running $name"
    "$command" "${flags[@]}" </dev/null || { say "$name ended with status $?"; failed+=("$name"); }
done
if ((${#failed[@]})); then
    say "did not run to the end: ${failed[*]}"
    exit 1
fi
