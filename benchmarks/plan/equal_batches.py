#!/usr/bin/env python3
"""Does every rank get the same number of batches, and every sample once? Ours and the peers over one uneven data set, counted from delivered labels.

8 shards of 1024, 1000, 700, 1024, 13, 512, 1024 and 998 samples, batches of 32, one epoch, every rank a process of its own. Peers with a format
of their own have the same samples in it. A row per loader, world and figure: how many batches the ranks differ by, samples that no rank got,
deliveries beyond the first.

    PENSTOCK_BUILD_DIR=build/release benchmarks/plan/equal_batches.py [--json] [--markdown FILE]      FILE: <build>/equal_batches.md
"""
import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE / "peers")]
from report import Report  # noqa: E402
from runner import BUILD, rival  # noqa: E402
from shard_set import SAMPLES, SIZES, write_shards  # noqa: E402

WORLDS, BATCH = (3, 4), 32
PEERS = {  # file in peers/: what setup.sh calls its environment, and what to call it where that cannot be set up
    "equal_webdataset": ("torch", "WebDataset"),
    "equal_streaming": ("streaming", "MosaicML Streaming"),
    "equal_litdata": ("litdata", "litData"),
    "equal_dali": ("dali", "DALI"),
    "equal_grain": ("grain", "Grain"),
    "equal_tfdata": ("tensorflow", "tf.data"),
    "equal_torch": ("torch", "torch DistributedSampler"),
}


def last_words(text):
    return ([line for line in text.splitlines() if line.strip()] or ["it said nothing"])[-1][:150]


def ranks(world, command):
    """What each rank printed; or why not."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    started = []
    for rank in range(world):
        env = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
        started.append(subprocess.Popen(command(rank), env=os.environ | {k: str(v) for k, v in env.items()}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    said, reason = [], None
    for rank, process in enumerate(started):
        try:
            out, err = process.communicate(timeout=180)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err = "it did not end within 180 s"
        said.append(out)
        if process.returncode != 0:
            reason = reason or f"rank {rank}: {last_words(err)}"
    return said, reason


def judged(of_ranks):
    """Batches per rank, lost, repeated; `of_ranks`: for each rank its batches, each a list of labels."""
    seen = Counter(label for batches in of_ranks for batch in batches for label in batch)
    counts = [len(batches) for batches in of_ranks]
    return min(counts), max(counts), SAMPLES - len(seen), sum(n - 1 for n in seen.values())


def ours(folder, world):
    said, reason = ranks(world, lambda rank: [BUILD / "benchmarks/bench_plan_equal_batches_ours", folder / "part-*.tar", str(rank), str(world), str(BATCH)])
    return {"penstock": reason or judged([[[int(x) for x in line.split()] for line in out.splitlines()] for out in said])}


def peer(module, folder, world):
    """{variant: figures or why not}"""
    environment, name = PEERS[module]
    python, reason = rival(environment)
    if reason:
        return {name: reason}
    script = [python, HERE / "peers/equal.py", module]
    if world == WORLDS[0]:
        made = subprocess.run([*script, "prepare", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if made.returncode != 0:
            return {name: last_words(made.stderr)}
    said, reason = ranks(world, lambda rank: [*script, "read", folder, str(BATCH)])
    if reason:
        return {name: reason}
    found = [json.loads(out.splitlines()[-1]) for out in said]
    result = {}
    for variant in found[0]:
        failed = [f[variant] for f in found if isinstance(f[variant], str)]
        result[variant] = failed[0].splitlines()[0][:150] if failed else judged([f[variant] for f in found])
    return result


def markdown(table):
    lines = [f"{len(SIZES)} shards of {', '.join(map(str, SIZES))} samples, batches of {BATCH}, one epoch, counted from delivered labels.", ""]
    lines.append("| loader | " + " | ".join(f"{w} ranks: batches per rank | lost | repeated" for w in WORLDS) + " |")
    lines.append("|---" * (1 + 3 * len(WORLDS)) + "|")
    for loader, by_world in table.items():
        cells = []
        for world in WORLDS:
            figures = by_world.get(world, "not run")
            if isinstance(figures, str):
                cells += [f"not run: {figures.replace('|', '/')}", "", ""]
            else:
                low, high, lost, repeated = figures
                cells += [str(low) if low == high else f"**{low} to {high}**", *(f"**{n:,}**" if n else "0" for n in (lost, repeated))]
        lines.append(f"| {loader} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", type=Path, default=BUILD / "equal_batches.md", metavar="FILE")
    args = parser.parse_args()
    table = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shards(folder)
        for world in WORLDS:
            for found in [ours(folder, world), *(peer(module, folder, world) for module in PEERS)]:
                for loader, figures in found.items():
                    table.setdefault(loader, {})[world] = figures
    args.markdown.write_text(markdown(table))

    report = Report("plan_equal_batches", args.json)
    for loader, by_world in table.items():
        bound = ("<=", 0) if loader == "penstock" else (None, None)
        for world in WORLDS:
            figures = by_world.get(world, "not run")
            reason = figures if isinstance(figures, str) else None
            low, high, lost, repeated = (None,) * 4 if reason else figures
            for what, value, unit in (("spread", reason or high - low, "batches"), ("lost", lost, "samples"), ("repeated", repeated, "samples")):
                report.add(f"{loader}: {world} ranks, {what}", [] if reason else [value], unit, *bound, reason=reason)
    report.finish()
    print(f"as a table: {args.markdown}", file=sys.stderr)


if __name__ == "__main__":
    main()
