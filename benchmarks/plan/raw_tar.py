#!/usr/bin/env python3
"""How many samples of 1 KiB and a label does a core read from tar into batches of 64? Beside SPDL, DALI, mlx-data, WebDataset and Python's tarfile.

Samples per second of CPU time of all threads, the shards in the page cache. Building our chain counts; the rivals have built theirs before.
The slow rivals, which need seconds for a pass, read two of the eight shards, in 3 rounds of their own. A rival that cannot be installed is a row without a value
and with the reason.

    PENSTOCK_BUILD_DIR=build/release benchmarks/plan/raw_tar.py [--json]
"""
import argparse
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from report import Report  # noqa: E402
from runner import BUILD, ROOT, Runner, rival, take_turns  # noqa: E402

FAST = {"spdl": ("spdl", "tar_spdl"), "dali": ("dali", "tar_dali"), "mlx": ("mlx", "tar_mlx")}  # what setup.sh calls it, and its file in peers/
SLOW = {"webdataset": ("torch", "tar_webdataset"), "tarfile": (None, "tar_tarfile")}
OURS = BUILD / "benchmarks/bench_plan_raw_tar_ours"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("PENSTOCK_BENCH_ROUNDS", 11)))
    args = parser.parse_args()
    made = subprocess.run([OURS, "make"], stdout=subprocess.PIPE, text=True, check=True)
    pattern = made.stdout.strip()
    shards = sorted(Path(pattern).parent.glob("raw-*.tar"))

    def command(shards, environment, module):
        python, reason = rival(environment) if environment else (sys.executable, None)
        return reason or [python, ROOT / "benchmarks/plan/peers/raw_tar.py", module, *shards]

    runners = {"penstock": Runner([OURS, pattern]), **{name: Runner(command(shards, *how)) for name, how in FAST.items()}}
    found = take_turns(runners, args.rounds)
    slow = {name: Runner(command(shards[:2], *how)) for name, how in SLOW.items()}
    found |= take_turns(slow, min(args.rounds, 3))
    runners |= slow

    report = Report("plan_raw_tar", args.json)
    per_cpu_s = {name: [samples / cpu for samples, _, cpu in rounds] for name, rounds in found.items()}
    report.add("raw_tar_samples_per_cpu_s", per_cpu_s["penstock"], "1/s", ">=", 1_000_000, reason=runners["penstock"].reason)
    report.add("raw_tar_samples_per_s", [samples / wall for samples, wall, _ in found["penstock"]], "1/s", reason=runners["penstock"].reason)
    best = max((name for name in [*FAST, *SLOW] if per_cpu_s[name]), key=lambda name: max(per_cpu_s[name]), default=None)
    ratios = [a / b for a, b in zip(per_cpu_s["penstock"], per_cpu_s[best])] if best else []
    report.add("raw_tar_vs_best_rival", ratios, "x", ">=", 2, vs=best, reason=None if best else "no rival is here")
    for name in [*FAST, *SLOW]:
        report.add(f"{name}_raw_tar_samples_per_cpu_s", per_cpu_s[name], "1/s", reason=runners[name].reason)
    report.finish()


if __name__ == "__main__":
    main()
