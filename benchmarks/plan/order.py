#!/usr/bin/env python3
"""How well is an epoch mixed? shuffle_shards | read_tar | shuffle(2000) beside a classic buffer of 2,000 over the same shards and beside WebDataset's
shard shuffle and window of 2,000. 64 shards of 1,000 samples, written class by class: 640 samples of a label follow each other. A round is a seed.

    displacement   mean distance between a sample's place in the shards and its place in the epoch, of what a perfect shuffle has (a third of the epoch)
    window         the same without the shards' own order: distance within the line that the shuffled shards make, in windows
    correlation    Spearman's, of places in the shards and in the epoch; 0: no trace of the old order
    line_correlation  the same within the line that the shuffled shards make
    neighbours     chance that two samples that leave one after the other have the same label, over a perfect shuffle's
    longest_run    most samples of one label in a row

    PENSTOCK_BUILD_DIR=build/release benchmarks/plan/order.py [--json]
"""
import argparse
import os
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE / "peers")]
from report import Report  # noqa: E402
from runner import BUILD, rival  # noqa: E402
from shard_set import shards_of, write_shards  # noqa: E402

SHARDS, EACH, WINDOW, CLASSES = 64, 1000, 2000, 100
SAMPLES = SHARDS * EACH
OURS = BUILD / "benchmarks/bench_plan_order_ours"


def lines_of(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return ([line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"])[-1][:150]
    return [int(line) for line in done.stdout.split()]


def spearman(places):
    return 1 - 6 * sum((after - before) ** 2 for after, before in enumerate(places)) / (SAMPLES * (SAMPLES**2 - 1))


def figures(order):
    if sorted(order) != list(range(SAMPLES)):
        return f"{len(order)} deliveries of {len(set(order))} samples: no permutation"
    # the line that the shuffled shards make: shards by the mean place of their samples, which a window moves alike
    mean = [0.0] * SHARDS
    for place, sample in enumerate(order):
        mean[sample // EACH] += place / EACH
    rank = {shard: k for k, shard in enumerate(sorted(range(SHARDS), key=mean.__getitem__))}
    line = [rank[sample // EACH] * EACH + sample % EACH for sample in order]
    labels = [sample * CLASSES // SAMPLES for sample in order]
    same = sum(a == b for a, b in zip(labels, labels[1:])) / (SAMPLES - 1)
    perfect = (SAMPLES / CLASSES - 1) / (SAMPLES - 1)
    return {
        "displacement": sum(abs(place - sample) for place, sample in enumerate(order)) / SAMPLES / (SAMPLES / 3),
        "window": sum(abs(place - at) for place, at in enumerate(line)) / SAMPLES / WINDOW,
        "correlation": spearman(order),
        "line_correlation": spearman(line),
        "neighbours": same / perfect,
        "longest_run": max(len(list(run)) for _, run in groupby(labels)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("PENSTOCK_BENCH_ROUNDS", 5)))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shards(folder, [EACH] * SHARDS)
        python, reason = rival("torch")
        commands = {kind: [OURS, kind, folder / "part-*.tar", str(WINDOW)] for kind in ("penstock", "classic")}
        commands["webdataset"] = reason or [python, HERE / "peers/order_webdataset.py", str(WINDOW)]
        orders = {kind: [] for kind in commands}
        for seed in range(args.rounds):
            for kind, command in commands.items():
                more = shards_of(folder) if kind == "webdataset" else []
                orders[kind].append(command if isinstance(command, str) else lines_of([*command, str(seed), *more]))

    report = Report("plan_order", args.json)
    units = {"displacement": "x", "window": "windows", "correlation": "rho", "line_correlation": "rho", "neighbours": "x", "longest_run": "samples"}
    for kind, of_seeds in orders.items():
        found = [order if isinstance(order, str) else figures(order) for order in of_seeds]
        reason = next((f for f in found if isinstance(f, str)), None)
        for what, unit in units.items():
            report.add(f"{kind}_order_{what}", [] if reason else [f[what] for f in found], unit, reason=reason)
    report.finish()


if __name__ == "__main__":
    main()
