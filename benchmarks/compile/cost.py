#!/usr/bin/env python3
"""What does a translation unit cost that uses the library? CPU seconds and peak memory of the compiler, with the flags of a release build;
what trains without optimisation, as it is compiled while it is written.

  compile16_seconds, compile16_mb   a chain of 16 stages, map and filter by turns, with the headers of its stages
  umbrella_seconds, umbrella_mb     <penstock/penstock.hpp> and nothing else
  trainer_over_torch_nn             the README's first program less <torch/nn.h> alone, seconds
  std_views16, range_v3_16          the same chain of 16 in std::views and range-v3

From source to object, nothing cached. A compiler is one thread: its CPU time is the wall time of a quiet machine, which is a row of its own.
Rounds take turns; what includes LibTorch takes part in every fourth.

    PENSTOCK_BUILD_DIR=build/release benchmarks/compile/cost.py [--json]
"""
import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks/support"))
from report import Report  # noqa: E402

BUILD = Path(os.environ.get("PENSTOCK_BUILD_DIR", ROOT / "build/release"))

SIXTEEN = " | ".join(f"MAP([](std::int64_t x) {{ return {m}; }}) | FILTER([](std::int64_t x) {{ return (x & {mask}) != {no}; }})" for m, mask, no in [
    ("x ^ (x >> 3)", 7, 5), ("x + (x >> 2)", 15, 9), ("x ^ (x >> 5)", 15, 3), ("x + (x >> 4)", 31, 17),
    ("x ^ (x >> 7)", 31, 30), ("x + (x >> 6)", 63, 41), ("x ^ (x >> 9)", 63, 5), ("x + (x >> 8)", 127, 77)])


def sixteen(includes, source, stages, end):
    chain = SIXTEEN.replace("MAP", stages[0]).replace("FILTER", stages[1])
    text = "".join(f"#include <{i}>\n" for i in includes) + "#include <cstdint>\nstd::int64_t run(std::int64_t n) {\n"
    return text + end.replace("CHAIN", f"{source} | {chain}") + "\n}\n"


LOOP = "std::int64_t total = 0;\nfor (auto x : CHAIN) total += x;\nreturn total;"
PROGRAMS = {
    "compile16": sixteen(["penstock/sources/range.hpp", "penstock/stages/filter.hpp", "penstock/stages/fold.hpp", "penstock/stages/map.hpp"], "penstock::range(n)",
                         ("penstock::map", "penstock::filter"), "return CHAIN | penstock::fold(std::int64_t{0}, [](std::int64_t a, std::int64_t b) { return a + b; });"),
    "umbrella": "#include <penstock/penstock.hpp>\n",
    "std_views16": sixteen(["ranges"], "std::views::iota(std::int64_t{0}, n)", ("std::views::transform", "std::views::filter"), LOOP),
    "range_v3_16": sixteen(["range/v3/view/filter.hpp", "range/v3/view/iota.hpp", "range/v3/view/transform.hpp"], "ranges::views::iota(std::int64_t{0}, n)",
                           ("ranges::views::transform", "ranges::views::filter"), LOOP),
}
TORCH_PROGRAMS = {
    "torch_nn": "#include <torch/nn.h>\n",
    "trainer": re.search(r"^```cpp\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)[1],
}
GOALS = {"compile16_seconds": 1.0, "compile16_mb": 200, "umbrella_seconds": 2.0}


def compiler():
    """The compiler of the build and its release flags."""
    cache = dict(re.findall(r"^(\w+):\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.M))
    flags = shlex.split(f"{cache.get('CMAKE_CXX_FLAGS', '')} {cache.get('CMAKE_CXX_FLAGS_RELEASE', '')}")
    return [cache["CMAKE_CXX_COMPILER"], "-std=c++20", *flags, "-I", str(ROOT / "include")]


def torch_flags():
    """Where LibTorch's headers are and what is defined for them, as the example that trains is compiled; None where it is not."""
    for unit in json.loads((BUILD / "compile_commands.json").read_text()):
        if unit["file"].endswith("/train_classifier.cpp"):
            words = shlex.split(unit["command"])
            return [w for i, w in enumerate(words) if w.startswith("-D") or w == "-isystem" or words[i - 1] == "-isystem"]
    return None


def compiled(command, source, out):
    """Seconds and megabytes; the error text where it does not compile."""
    start = time.monotonic()
    child = subprocess.Popen([*command, "-c", source, "-o", out], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    text = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)  # of the driver and of the children it waited for: ru_maxrss is the compiler proper's
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        return None, text
    return (used.ru_utime + used.ru_stime, time.monotonic() - start, used.ru_maxrss / 1024), ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("PENSTOCK_BENCH_ROUNDS", 11)))
    args = parser.parse_args()
    command = compiler()
    torch = torch_flags()
    print("compile: " + " ".join(command[:-2]), file=sys.stderr)
    programs = {**PROGRAMS, **TORCH_PROGRAMS}
    found, reason = {name: [] for name in programs}, {}
    if torch is None:
        reason = {name: "the room train is off" for name in TORCH_PROGRAMS}
    with tempfile.TemporaryDirectory(prefix="penstock-compile-") as folder:
        for name, text in programs.items():
            Path(folder, f"{name}.cpp").write_text(text)
        for turn in range(-1, args.rounds):  # the first round brings the headers into memory
            for name in programs:
                if name in reason or (name in TORCH_PROGRAMS and turn % 4 != 0):
                    continue
                flags = [*torch, "-O0"] if name in TORCH_PROGRAMS else []
                cost, why = compiled([*command, *flags], f"{folder}/{name}.cpp", f"{folder}/out.o")
                if cost is None:
                    if "penstock/" in programs[name]:
                        sys.exit(f"compile: {name} does not compile:\n{why[-3000:]}")
                    reason[name] = next((line for line in why.splitlines() if "error" in line), "it does not compile")[:150]
                elif turn >= 0:
                    found[name].append(cost)

    report = Report("compile", args.json)
    for name in programs:
        for at, (suffix, unit) in enumerate((("seconds", "s"), ("wall_seconds", "s"), ("mb", "MB"))):
            row = f"{name}_{suffix}"
            goal = ("<=", GOALS[row]) if row in GOALS else (None, None)
            report.add(row, [c[at] for c in found[name]], unit, *goal, reason=reason.get(name))
    report.add("trainer_over_torch_nn", [t[0] - n[0] for t, n in zip(found["trainer"], found["torch_nn"])], "s", "<=", 4, reason=reason.get("trainer"))
    report.finish()


if __name__ == "__main__":
    main()
