"""Epochs over real tars whose ranks are processes that are killed: every sample once, equal batches, and the same after a restart. Standard library only.

ranks.py PROGRAM [CONFIGURATIONS]: exit code 0 if all went as promised, else what broke. The seed is printed; PENSTOCK_TEST_SEED sets it.

A rank writes down what it delivered at every few batches, in one file that is replaced at once: what it did later is lost with it, as the steps
after the last checkpoint of a training are. The driver kills ranks, starts them again in the same number or in another, and counts those files.
"""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
CONFIGURATIONS = int(sys.argv[2]) if len(sys.argv) > 2 else 24
SEED = int(os.environ.get("PENSTOCK_TEST_SEED", "4711"))
kills = deliveries = restarts = 0


class Broken(Exception):
    pass


class Job:
    """One epoch of one configuration."""

    def __init__(self, number, folder):
        r = self.random = random.Random(SEED * 100_003 + number)
        self.folder = folder
        self.sources = {}
        for name in ["a", "b"] if number % 4 == 1 else ["-"]:
            sizes = [r.choice((0, r.randint(1, 9), r.randint(1, 60))) for _ in range(r.randint(1, 8))]
            sizes[r.randrange(len(sizes))] = r.randint(1, 60)
            self.sources[name] = sizes
        n = sum(next(iter(self.sources.values())))
        window = r.choice((0, 0, r.randint(1, 2 * n))) if len(self.sources) == 1 else 0
        self.epoch = r.randint(0, 2)
        self.passes = 1 if window else r.choice((1, 1, 2))
        self.options = {"seed": SEED + number, "epoch": self.epoch, "samples_per_epoch": window, "more_passes": self.passes - 1, "batch": r.randint(1, 12),
                        "window": r.choice((0, r.randint(1, 40))), "threads": r.randint(0, 2), "ahead": r.randint(0, 3), "shuffled": r.choice((0, 1, 1)),
                        "verify": r.randint(0, 1), "every": r.randint(1, 4), "data": ",".join(f"{folder}/data{k}" for k in range(len(self.sources)))}
        self.worlds = [3, 2, 5, 1] if number % 4 == 0 else [r.randint(1, 5) for _ in range(r.randint(1, 4))]
        for k, sizes in enumerate(self.sources.values()):
            os.mkdir(f"{folder}/data{k}")
            subprocess.run([PROGRAM, "make", f"{folder}/data{k}", *map(str, sizes)], check=True)
        if r.random() < 0.5:  # else the index tells the counts, and the checksums
            self.options["verify"] = 0
            for k in range(len(self.sources)):
                for name in os.listdir(f"{folder}/data{k}"):
                    if not name.endswith(".tar") and name != "list":
                        path = f"{folder}/data{k}/{name}"
                        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)

    def text(self):
        return f"worlds {self.worlds}, shards {list(self.sources.values())}, " + ", ".join(f"{k} {v}" for k, v in self.options.items() if k != "data")

    def start(self, life, rank):
        world = self.worlds[life]
        before = ",".join(self.file("life", w, r) for w in range(life) for r in range(self.worlds[w]))
        options = {**self.options, "rank": rank, "world": world, **({"before": before} if before else {})}
        return lambda name: subprocess.Popen([PROGRAM, "run", *(f"{k}={v}" for k, v in options.items()), f"out={self.file(name, life, rank)}"],
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def file(self, name, life, rank):
        return f"{self.folder}/{name}-{life}-{rank}"

    def run(self, name, life, stop):
        """All ranks of a world: to the end, or until each is killed at a moment of its own."""
        global kills
        ranks = [self.start(life, r)(name) for r in range(self.worlds[life])]
        try:
            for p in ranks:
                if stop:
                    batches = self.random.randint(0, 9)
                    p.stdin.write(b"." * (batches + self.random.randint(1, 4)))  # so that it is at work when it is killed
                    p.stdin.flush()
                    while batches and (got := os.read(p.stdout.fileno(), batches)):
                        batches -= len(got)
                    p.send_signal(signal.SIGKILL)
                    kills += 1
                else:
                    p.stdin.close()
            for rank, p in enumerate(ranks):
                p.stdout.read()
                words = p.stderr.read().decode(errors="replace")
                code = p.wait(timeout=60)
                if code not in ((0, -signal.SIGKILL) if stop else (0,)):
                    raise Broken(f"world {life}, rank {rank} ended with {code}: {words}")
        finally:
            for p in ranks:
                p.kill()
                p.wait()
                for pipe in (p.stdin, p.stdout, p.stderr):
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass

    def batches(self, name, life, rank):
        """What is written down: the lines of batches, and the ledger and the end behind them."""
        try:
            with open(self.file(name, life, rank)) as f:
                lines = f.read().split("state\n")[0].splitlines()
        except FileNotFoundError:
            return [], []
        return [line for line in lines if line.startswith("batch ")], [line for line in lines if not line.startswith("batch ")]

    def play(self):
        global deliveries, restarts
        seen = {name: {} for name in self.sources}
        for life, ranks in enumerate(self.worlds):
            last = life + 1 == len(self.worlds)
            again = self.random.randint(0, 2)
            for _ in range(again):  # killed, and started once more in the same number
                self.run("life", life, stop=True)
                restarts += 1
            self.run("life", life, stop=not last)
            self.run("whole", life, stop=False)  # the same, left alone
            counts = set()
            for r in range(ranks):
                got, used = self.batches("life", life, r)
                whole, all_used = self.batches("whole", life, r)
                counts.add(len(whole))
                if got != whole[:len(got)]:
                    raise Broken(f"world {life}, rank {r}: killed and restarted {again} times it delivered other batches than when left alone")
                if last and (len(got) != len(whole) or used != all_used or used[-1] != f"ended {len(whole)}"):
                    raise Broken(f"world {life}, rank {r}: after restarts the epoch ends with {len(got)} batches and {used}, left alone with {len(whole)} and {all_used}")
                for line in got:
                    source, *samples = line.split()[1:]
                    for s in samples:
                        times = seen[source]
                        times[s] = times.get(s, 0) + 1
                        deliveries += 1
            if len(counts) != 1:
                raise Broken(f"world {life}: ranks have different numbers of batches: {sorted(counts)}")
        for name, times in seen.items():
            n = sum(self.sources[name])
            twice = [s for s, k in times.items() if k != 1]
            if twice:
                raise Broken(f"samples of source {name} came more than once (pass:id): {twice[:9]}")
            window = self.options["samples_per_epoch"]
            first = window * self.epoch if window else n * self.passes * self.epoch  # positions of the line
            end = first + (window or n * self.passes)
            expected = {f"{p}:{i}" for p in range(-(-first // n), end // n) for i in range(n)}  # passes that lie in the epoch as a whole
            if lost := expected - times.keys():
                raise Broken(f"{len(lost)} samples of source {name} never came (pass:id): {sorted(lost)[:9]}")
            if len(times) != end - first or any(not first // n <= int(s.split(":")[0]) <= (end - 1) // n for s in times):
                raise Broken(f"{len(times)} samples of source {name} came, {end - first} make the epoch")


print(f"PENSTOCK_TEST_SEED={SEED}, {CONFIGURATIONS} configurations", flush=True)
for number in range(CONFIGURATIONS):
    folder = tempfile.mkdtemp(prefix="penstock-ranks-")
    job = None
    try:
        job = Job(number, folder)
        job.play()
    except Broken as e:
        sys.exit(f"configuration {number}: {job.text()}\n {e}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
print(f"{kills} ranks killed, {restarts} restarts in the same world, {deliveries} samples committed, each once")
if kills < CONFIGURATIONS or not restarts:
    sys.exit("too little was killed")
