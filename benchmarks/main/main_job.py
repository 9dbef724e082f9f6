#!/usr/bin/env python3
"""The main job as examples/run.sh runs it, three seeds: test accuracy beside a PyTorch twin's, time from raw data to the end, waiting for data.

The twin's figures are those in comparative/fashion/twin.csv, made by twin.py beside it.

    PENSTOCK_BUILD_DIR=build/release benchmarks/main/main_job.py [--json] [--seeds 1 2 3]
"""
import argparse
import csv
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from report import Report  # noqa: E402

BUILD = Path(os.environ.get("PENSTOCK_BUILD_DIR", HERE.parents[1] / "build/release"))
IDX = os.environ.get("PENSTOCK_IDX", "/usr/share/datasets/fashion-mnist")


def run(command):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"main_job: {' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def figure(pattern, text):
    found = re.search(pattern, text)
    if not found:
        sys.exit(f"main_job: no match for {pattern!r} in:\n{text[-3000:]}")
    return float(found.group(1))


def job(seed, *extra):
    """From IDX files to the summary table: accuracy in per cent, seconds, seconds of the conversion, per cent of time waiting for data."""
    with tempfile.TemporaryDirectory(prefix="penstock-main-") as folder:
        start = time.monotonic()
        run([BUILD / "examples/fashion_to_shards", IDX, folder])
        converted = time.monotonic()
        out = run([BUILD / "examples/train_classifier", "--nproc=2", "--data", folder, "--checkpoint", f"{folder}/run", "--seed", seed, *extra])
        end = time.monotonic()
    return figure(r"test accuracy ([\d.]+) %", out), end - start, converted - start, figure(r"data wait\s+[\d.]+ s\s+([\d.]+) %", out)


def twin():
    with open(HERE.parent / "comparative/fashion/twin.csv", newline="") as f:
        return [100 * float(row["accuracy"]) for row in csv.DictReader(f)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    a = parser.parse_args()
    report = Report("main_job", a.json)
    runs = [job(seed) for seed in a.seeds]
    accuracies = [r[0] for r in runs]
    peer = twin()
    report.add("accuracy_median", accuracies, "%", ">=", 91)
    report.add("accuracy_pytorch", peer, "%")
    difference = statistics.median(accuracies) - statistics.median(peer)
    report.add("accuracy_minus_pytorch", [difference], "points", ">=", -0.5, "twin.csv")
    report.add("run_seconds", [r[1] for r in runs], "s", "<=", 300)
    report.add("convert_seconds", [r[2] for r in runs], "s")
    report.add("wait_for_data_share", [r[3] for r in runs], "%")
    fp32 = job(a.seeds[0], "--fp32")
    report.add("run_seconds_fp32", [fp32[1]], "s", "<=", 300)
    report.add("accuracy_fp32", [fp32[0]], "%")
    report.finish()


if __name__ == "__main__":
    main()
