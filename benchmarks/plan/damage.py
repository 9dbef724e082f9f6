#!/usr/bin/env python3
"""What does a damaged shard cost, and is anybody told? Ours and the readers of tar over three shards of 200 samples, the middle one damaged at its
sample 100. Verdicts are computed from what was delivered: samples that are whole, half (a file is missing or short), wrong (the right length, other
bytes), repeated, or missing, and from the text of errors and warnings: whether they name the shard, and the sample or byte.

Damage keeps the shard's time of change, as bad disks and copies do. A row per loader and damage: samples that were lost in silence, came
half or wrong or twice; 0 when there is none of them, and of those that are missing somebody was told. torchdata has no reader of tar any more.

    PENSTOCK_BUILD_DIR=build/release benchmarks/plan/damage.py [--json] [--markdown FILE]      FILE: <build>/damage.md
"""
import argparse
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE / "peers")]
from report import Report  # noqa: E402
from runner import BUILD, rival  # noqa: E402
from shard_set import payload, shards_of, write_shards  # noqa: E402

SIZES = [200, 200, 200]
SAMPLES = sum(SIZES)
AT = SIZES[0] + 100  # the sample at which the middle shard is damaged
EACH = 512 + 1024 + 512 + 512  # bytes of a sample: header, bin, header, cls
HERE_BYTE = 100 * EACH


def flip(byte):
    def damage(path):
        data = bytearray(path.read_bytes())
        data[byte] ^= 1
        path.write_bytes(data)

    return damage


def cut(size):
    return lambda path: os.truncate(path, size)


def same_key_again(path):
    """The sample behind it gets its key, in headers whose checksums hold."""
    data = bytearray(path.read_bytes())
    for at in (HERE_BYTE + EACH, HERE_BYTE + EACH + 512 + 1024):
        data[at : at + 6] = f"{AT:06}".encode()
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = f"{sum(data[at:at + 512]):06o}\0 ".encode()
    path.write_bytes(data)


DAMAGE = {
    "none": lambda path: None,
    "cut inside a file": cut(HERE_BYTE + 512 + 300),
    "cut between two samples": cut(HERE_BYTE),
    "header: a bit of the name": flip(HERE_BYTE + 2),
    "header: a bit of the size": flip(HERE_BYTE + 124 + 7),
    "payload: a bit": flip(HERE_BYTE + 512 + 300),
    "no bytes": cut(0),
    "missing": Path.unlink,
    "a key twice": same_key_again,
}

OURS = BUILD / "benchmarks/bench_plan_damage_ours"
LOADERS = {  # name: (what setup.sh calls the environment, file in peers/); ours: how damage_ours prepares and reads
    "penstock": (None, "read"),
    "penstock, index and verify": ("index", "verify"),
    "penstock, on_error": (None, "skip"),
    "WebDataset": ("torch", "tar_webdataset"),
    "WebDataset, warn_and_continue": ("torch", "tar_webdataset_warn"),
    "SPDL, file": ("spdl", "tar_spdl"),
    "SPDL, bytes": ("spdl", "tar_spdl_bytes"),
    "DALI": ("dali", "tar_dali"),
    "DALI, stored index": ("dali", "tar_dali_indexed"),
    "mlx-data": ("mlx", "tar_mlx"),
    "Python tarfile": ("python", "tar_tarfile"),
}


@dataclass
class Outcome:
    whole: int = 0
    half: int = 0
    wrong: int = 0
    repeated: int = 0
    told: list = field(default_factory=list)
    error: str = ""

    @property
    def missing(self):
        return max(0, SAMPLES - self.whole - self.half - self.wrong)  # a sample may come as two halves

    @property
    def silent(self):
        return not self.error and not self.told

    def ok(self):
        return self.half == self.wrong == self.repeated == 0 and (self.missing == 0 or not self.silent)

    def verdict(self):
        """What a message names stands in brackets."""
        names = ", ".join(n for n in (self.names(r"part-001", "shard"), self.names(r"000300|\bbyte \d+|\boffset", "place")) if n) or "neither shard nor place"
        shares = ((self.missing, "lost"), (self.half, "half"), (self.wrong, "wrong"), (self.repeated, "repeated"))
        if self.error:
            worse = "".join(f", **{n} {what}**" for n, what in shares[1:] if n)
            return f"error ({names}) " + (f"after {self.whole}" if self.whole else "at once") + worse
        counts = ", ".join(f"{n} {what}" for n, what in shares if n)
        if not counts:
            return "all delivered" + (f", told ({names})" if self.told else "")
        return f"told ({names}): {counts}" if self.told else f"**silent: {counts}**"

    def names(self, pattern, what):
        return what if re.search(pattern, " ".join([*self.told, self.error])) else ""


def outcome(text):
    found, seen = Outcome(), Counter()
    for line in text.splitlines():
        if line.startswith("told: "):
            found.told.append(line[6:])
        elif line.startswith("error: "):
            found.error = line[7:] or "an error without words"
        elif match := re.fullmatch(r"([0-9a-f]+|-) ([0-9a-f]+|-)", line):
            cls, body = (b"" if x == "-" else bytes.fromhex(x) for x in match.groups())
            if len(cls) != 6 or len(body) != 1024:
                found.half += 1
                continue
            number = int(cls) if cls.isdigit() else -1
            seen[number] += 1
            if seen[number] > 1:
                found.repeated += 1
            elif body == payload(number):
                found.whole += 1
            else:
                found.wrong += 1
    return found


@functools.cache
def command(loader):
    """(how to prepare, how to read); or why not"""
    environment, module = LOADERS[loader]
    if loader.startswith("penstock"):
        return ([OURS, environment] if environment else None), [OURS, module]
    python, reason = rival(environment) if environment != "python" else (sys.executable, None)
    return reason or tuple([python, HERE / "peers/damage.py", module, what] for what in ("prepare", "read"))


def run(loader, damage, template):
    """An Outcome, or why there is none."""
    how = command(loader)
    if isinstance(how, str):
        return how
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in shards_of(template):
            shutil.copy2(path, folder)
        shards = shards_of(folder)
        if how[0]:
            made = subprocess.run([*how[0], *shards], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
            if made.returncode != 0 or "error: " in made.stdout:
                return (made.stderr + made.stdout).strip().splitlines()[-1][:150]
        victim = folder / "part-001.tar"
        before = victim.stat()
        DAMAGE[damage](victim)
        if victim.exists():
            os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
        try:
            done = subprocess.run([*how[1], *shards], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return "it did not end within 120 s"
        found = outcome(done.stdout)
        if done.returncode < 0:
            found.error = f"the process died of signal {-done.returncode}"
        elif done.returncode != 0:
            found.error = found.error or done.stderr.strip().splitlines()[-1]
        return found


def markdown(table):
    lines = [f"3 shards of 200 samples of two files each, the middle one damaged at its sample 100; {SAMPLES} samples in all. In brackets what the message names; half: "
             "a sample without one of its files, or with a part of it; wrong: other bytes than were written.", ""]
    lines.append("| reader | " + " | ".join(DAMAGE) + " |")
    lines.append("|---" * (1 + len(DAMAGE)) + "|")
    for loader in LOADERS:
        cells = (table[loader, damage] for damage in DAMAGE)
        lines.append(f"| {loader} | " + " | ".join(f"not run: {c.replace('|', '/')}" if isinstance(c, str) else c.verdict() for c in cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", type=Path, default=BUILD / "damage.md", metavar="FILE")
    args = parser.parse_args()
    table = {}
    with tempfile.TemporaryDirectory() as name:
        template = Path(name)
        write_shards(template, SIZES)
        for loader in LOADERS:
            for damage in DAMAGE:
                table[loader, damage] = run(loader, damage, template)
    args.markdown.write_text(markdown(table))

    report = Report("plan_damage", args.json)
    for (loader, damage), found in table.items():
        reason = found if isinstance(found, str) else None
        # without checksums nobody can know a flipped bit of a payload: only the form that has them is held to it
        bound = ("<=", 0) if loader.startswith("penstock") and ("verify" in loader or not damage.startswith("payload")) else (None, None)
        report.add(f"{loader}: {damage}", [] if reason else [0 if found.ok() else max(1, SAMPLES - found.whole)], "samples", *bound, note=None if reason else found.verdict(), reason=reason)
    report.finish()
    print(f"as a table: {args.markdown}", file=sys.stderr)


if __name__ == "__main__":
    main()
