#!/usr/bin/env python3
"""What does an item cost that three in-memory sources yield, mixed .7/.2/.1? CPU nanoseconds per item, beside torchdata, WebDataset, grain and tf.data.

Every rival is a process of its own that has imported all it needs before the first round; they take turns. A rival that cannot be installed is a
row without a value and with the reason.

    PENSTOCK_BUILD_DIR=build/release benchmarks/chain/interleave.py [--json]
"""
import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PENSTOCK_BUILD_DIR", ROOT / "build/release"))
sys.path.insert(0, str(ROOT / "benchmarks/support"))
from report import Report  # noqa: E402

RIVALS = {"torchdata": "torch", "webdataset": "torch", "grain": "grain", "tfdata": "tensorflow"}  # and what setup.sh calls it


class Runner:
    """A process that runs one pass for every line it reads; `reason` says why there is none."""

    def __init__(self, command):
        self.reason, self.process = None, None
        if isinstance(command, str):
            self.reason = command
            return
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def round(self):
        """The figures of one pass, or None."""
        if self.process is None:
            return None
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if line:
            return [float(x) for x in line.split()]
        said = [text for text in self.process.communicate()[1].splitlines() if text.strip()]
        self.reason = (said[-1] if said else f"it ended with status {self.process.returncode}")[:150]
        self.process = None
        return None

    def end(self):
        if self.process is not None:
            self.process.communicate()


def rival(name):
    """The command, or why there is none."""
    found = subprocess.run([ROOT / "benchmarks/comparative/setup.sh", RIVALS[name]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if found.returncode != 0:
        return (found.stderr.strip().splitlines() or ["setup.sh failed"])[-1]
    return [found.stdout.strip().splitlines()[-1], ROOT / "benchmarks/comparative/mix/mix.py", name]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("PENSTOCK_BENCH_ROUNDS", 11)))
    args = parser.parse_args()
    runners = {"penstock": Runner([BUILD / "benchmarks/bench_chain_interleave_ours"]), **{name: Runner(rival(name)) for name in RIVALS}}
    found = {name: [] for name in runners}
    order = list(runners)
    for turn in range(-1, args.rounds):  # the first round is not counted
        for name in order:
            figures = runners[name].round()
            if figures is not None and turn >= 0:
                found[name].append(figures)
        order.append(order.pop(0))
    for runner in runners.values():
        runner.end()

    report = Report("chain_interleave", args.json)
    ours = runners["penstock"]
    report.add("interleave_ns", [f[0] for f in found["penstock"]], "ns/item", "<=", 10, reason=ours.reason)
    report.add("interleave_random_ns", [f[1] for f in found["penstock"]], "ns/item", reason=ours.reason)
    for name in RIVALS:
        report.add(f"{name}_mix_ns", [f[0] for f in found[name]], "ns/item", reason=runners[name].reason)
    report.finish()


if __name__ == "__main__":
    main()
