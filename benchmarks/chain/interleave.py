#!/usr/bin/env python3
"""What does an item cost that three in-memory sources yield, mixed .7/.2/.1? CPU nanoseconds per item, beside torchdata, WebDataset, grain and tf.data.

Every rival is a process of its own that has imported all it needs before the first round; they take turns. A rival that cannot be installed is a
row without a value and with the reason.

    PENSTOCK_BUILD_DIR=build/release benchmarks/chain/interleave.py [--json]
"""
import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from report import Report  # noqa: E402
from runner import BUILD, ROOT, Runner, rival, take_turns  # noqa: E402

RIVALS = {"torchdata": "torch", "webdataset": "torch", "grain": "grain", "tfdata": "tensorflow"}  # and what setup.sh calls it


def command(name):
    """The command of a rival, or why there is none."""
    python, reason = rival(RIVALS[name])
    return reason or [python, ROOT / "benchmarks/comparative/mix/mix.py", name]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("PENSTOCK_BENCH_ROUNDS", 11)))
    args = parser.parse_args()
    runners = {"penstock": Runner([BUILD / "benchmarks/bench_chain_interleave_ours"]), **{name: Runner(command(name)) for name in RIVALS}}
    found = take_turns(runners, args.rounds)

    report = Report("chain_interleave", args.json)
    ours = runners["penstock"]
    report.add("interleave_ns", [f[0] for f in found["penstock"]], "ns/item", "<=", 10, reason=ours.reason)
    report.add("interleave_random_ns", [f[1] for f in found["penstock"]], "ns/item", reason=ours.reason)
    for name in RIVALS:
        report.add(f"{name}_mix_ns", [f[0] for f in found[name]], "ns/item", reason=runners[name].reason)
    report.finish()


if __name__ == "__main__":
    main()
