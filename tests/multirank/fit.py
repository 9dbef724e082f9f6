"""Training jobs of real processes: resume after a kill, and input that is bad. Python's standard library only.

fit.py PROGRAM CASE: exit code 0 if the case went as promised, else what broke, and the job's output.
"""
import glob
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PROGRAM, CASE = sys.argv[1:3]
FOLDER = tempfile.mkdtemp(prefix="penstock-fit-")
DATA = f"{FOLDER}/data"
SAVE_EVERY = 7


def fail(sentence, output=""):
    sys.exit(f"{CASE}: {sentence}\n{output[-4000:]}")


def forget_index():
    for index in glob.glob(f"{DATA}/.penstock-index*"):
        shutil.rmtree(index) if os.path.isdir(index) else os.remove(index)


def job(*args, seconds=60, limit=None, environment=None):
    """Runs a job to its end; (exit code, output, seconds)."""
    start = time.monotonic()
    def lower():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    done = subprocess.run([PROGRAM, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=seconds,
                          preexec_fn=lower, env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})})
    return done.returncode, done.stdout, time.monotonic() - start


def make_data():
    os.mkdir(DATA)
    code, out, _ = job("--make", DATA)
    if code != 0:
        fail("the shards could not be made", out)
    with open(f"{DATA}/part-6.tar", "wb") as f:
        f.write(bytes(10240))  # a shard without samples


def train(name, *args, nproc=2, save_every=SAVE_EVERY, **more):
    return job(f"--nproc={nproc}", "--step-timeout=10", "--data", DATA, "--log", f"{FOLDER}/{name}.log", "--checkpoint", f"{FOLDER}/{name}", "--csv", f"{FOLDER}/{name}.csv",
               "--save-every", save_every, *args, **more)


def steps(name, rank):
    """step -> the line of that step; a step that was trained again after a resume counts with its last line."""
    out = {}
    with open(f"{FOLDER}/{name}.log.{rank}") as f:
        for line in f:
            out[int(re.match(r"step=(\d+) ", line).group(1))] = re.sub(r" ahead=.*", "", line.strip())
    return out


def ahead(name, rank, step):
    with open(f"{FOLDER}/{name}.log.{rank}") as f:
        return int(re.search(rf"^step={step} .* ahead=(\d+)$", f.read(), re.M).group(1))


def newest(name):
    """(step, epoch) of the checkpoint that a resume starts from."""
    path = os.path.realpath(f"{FOLDER}/{name}/latest")
    with open(f"{path}/manifest.json") as f:
        text = f.read()
    return int(re.search(r'"step": (\d+)', text).group(1)), int(re.search(r'"epoch": (\d+)', text).group(1)), path


def contents(path):
    with open(path, "rb") as f:
        return f.read()


def table(name):
    """The CSV without what depends on the clock."""
    with open(f"{FOLDER}/{name}.csv") as f:
        return [line.strip().split(",")[:5] for line in f]


def resume(nproc, killed):
    """A run that is killed inside the first epoch and resumed goes on as the one that was left alone, bit by bit."""
    make_data()
    code, out, _ = train("whole", nproc=nproc)
    if code != 0:
        fail("the undisturbed run failed", out)
    expected = re.search(r"done .*", out).group(0)
    kill_at = 2 * SAVE_EVERY + 3
    code, out, _ = train("killed", "--kill-at", kill_at, "--kill-rank", killed, nproc=nproc)
    if code == 0:
        fail("the run that was killed ended with 0", out)
    step, epoch, path = newest("killed")
    if (step, epoch) != (2 * SAVE_EVERY, 0):
        fail(f"the checkpoint must lie in the middle of epoch 0 at step {2 * SAVE_EVERY}, got step {step} of epoch {epoch}")
    for rank in range(nproc):
        state = contents(f"{path}/rank-{rank:05}.safetensors")
        held = re.search(rb"shuffle\.replay \d+ from=(\d+) pulls=(\d+)[^\n]* held=(\d+)", state)
        if not held or int(held.group(3)) == 0:
            fail(f"rank {rank}: the checkpoint must lie inside the shuffle window, got {held and held.group(0)}")
        # what was made ahead of step 14 is the window of step 15, two batches, and at least one in the prefetch
        if ahead("killed", rank, step) < 3:
            fail(f"rank {rank}: batches must wait in the prefetch at the checkpoint, got {ahead('killed', rank, step)} ahead")
    code, out, _ = train("killed", "--resume", nproc=nproc)
    if code != 0 or "resumed from" not in out:
        fail("the resumed run failed", out)
    for rank in range(nproc):
        whole, again = steps("whole", rank), steps("killed", rank)
        if sorted(whole) != sorted(again):
            fail(f"rank {rank}: steps {sorted(whole)} and {sorted(again)}")
        for k in sorted(whole):
            if whole[k] != again[k]:
                fail(f"rank {rank} differs from step {k} on:\n  {whole[k]}\n  {again[k]}")
    if re.search(r"done .*", out).group(0) != expected:
        fail(f"the resumed run ended differently, expected: {expected}", out)
    if table("whole") != table("killed"):
        fail(f"the metrics differ:\n{table('whole')}\n{table('killed')}")
    a, b = newest("whole")[2], newest("killed")[2]
    for name in ["model", "optim"] + [f"rank-{r:05}" for r in range(nproc)]:
        if contents(f"{a}/{name}.safetensors") != contents(f"{b}/{name}.safetensors"):
            fail(f"{name}.safetensors of the last checkpoints differ")
    for k in steps("whole", 0):
        said = [re.search(r"crc=(\w+) mask=(\w+)", steps("whole", r)[k]).groups() for r in range(nproc)]
        if len({crc for crc, _ in said}) != 1 or len({mask for _, mask in said}) != nproc:
            fail(f"at step {k} the ranks' weights must be one and their dropout masks {nproc}, got {said}")
    every = sorted(i for r in range(nproc) for k, line in steps("whole", r).items() if " epoch=0 " in line
                   for i in map(int, re.findall(r"(\d+),", line.split("ids=")[1])))
    if every != list(range(600)):
        fail(f"epoch 0 must deliver every sample once, got {len(every)} deliveries of {len(set(every))} samples")


def elastic():
    """Three ranks, killed; two go on with what is left of the epoch, are killed; four finish it: every sample once, in the right order of steps."""
    make_data()
    delivered, done = [], 0
    for nproc, kill_at in ((3, SAVE_EVERY + 3), (2, 2 * SAVE_EVERY + 3), (4, None)):
        for log in glob.glob(f"{FOLDER}/moved.log.*"):
            os.remove(log)
        more = ["--kill-at", kill_at, "--kill-rank", nproc - 1] if kill_at else []
        code, out, _ = train("moved", *(["--resume"] if done else []), *more, nproc=nproc)
        if (code == 0) != (kill_at is None):
            fail(f"{nproc} ranks ended with {code}", out)
        if done and "divided anew" not in out:
            fail("the note about the rest of the epoch is missing", out)
        step, epoch, path = newest("moved")
        if kill_at and (step, epoch) != (kill_at - 3, 0):
            fail(f"the checkpoint must lie in epoch 0 at step {kill_at - 3}, got step {step} of epoch {epoch}")
        counts = set()
        for rank in range(nproc):
            mine = [line for k, line in steps("moved", rank).items() if " epoch=0 " in line and done < k <= step]
            counts.add(len(mine))
            delivered += [i for line in mine for i in map(int, re.findall(r"(\d+),", line.split("ids=")[1]))]
        if len(counts) != 1:
            fail(f"{nproc} ranks made different numbers of steps: {counts}")
        done = step
    if sorted(delivered) != list(range(600)):
        fail(f"epoch 0 must deliver every sample once, got {len(delivered)} deliveries of {len(set(delivered))} samples")
    print(f"3, 2 and 4 ranks delivered {len(delivered)} samples, each once")


def changed():
    """What changed since a checkpoint in mid-epoch is named, with what can still be done; the ledger goes on with another chain, every sample once."""
    make_data()
    code, out, _ = train("other", "--kill-at", SAVE_EVERY + 3, "--kill-rank", 0)
    if code == 0 or newest("other")[:2] != (SAVE_EVERY, 0):
        fail("the checkpoint must lie in the middle of epoch 0", out)
    ends_with(*train("other", "--resume", "--window", 50), r"shuffle was saved with window 100, this one has 50", r"HINT.*resume::ledger")
    ends_with(*train("other", "--resume", "--batch", 6), r"batch was saved with n 4, this one has 6", r"HINT.*resume::ledger")
    keep = contents(f"{DATA}/part-3.tar")
    for how in ("--resume", "--resume-ledger"):  # positions of another order, or of other data, are no use to either
        ends_with(*train("other", how, "--seed", 4), r"was saved with \.seed 3, this run has 4\n  HINT: use that seed")
        shutil.copy(f"{DATA}/part-1.tar", f"{DATA}/part-3.tar")  # 5 samples instead of 48
        ends_with(*train("other", how), r"was saved with the data .*samples=600.*, this run has .*samples=557", r"HINT: the shards, their order or their numbers of samples changed: restore them")
        with open(f"{DATA}/part-3.tar", "wb") as f:
            f.write(keep)
    code, out, _ = train("other", "--resume-ledger", "--window", 50, "--batch", 6)
    if code != 0 or "divided anew" not in out:
        fail("the ledger must go on with another chain", out)
    every = sorted(i for r in range(2) for line in steps("other", r).values() if " epoch=0 " in line for i in map(int, re.findall(r"(\d+),", line.split("ids=")[1])))
    if every != list(range(600)):
        fail(f"epoch 0 must deliver every sample once, got {len(every)} deliveries of {len(set(every))} samples", out)


def ends_with(code, out, seconds, *words, within=30):
    if code == 0:
        fail("the job must end with a non-zero code, got 0", out)
    if seconds > within:
        fail(f"the job must end within {within} s, took {seconds:.1f} s", out)
    for word in words:
        if not re.search(word, out):
            fail(f"the output must say '{word}'", out)


def begin(name, *args, nproc=2, **more):
    """A job that has done some steps, under way."""
    p = subprocess.Popen([PROGRAM, *([f"--nproc={nproc}"] if nproc > 1 else []), "--data", DATA, "--log", f"{FOLDER}/{name}.log", "--checkpoint", f"{FOLDER}/{name}", "--csv",
                          f"{FOLDER}/{name}.csv", "--save-every", "1000", *args], **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **more},
                         env={**os.environ, "OMP_NUM_THREADS": "1"})
    while p.poll() is None and (not os.path.exists(f"{FOLDER}/{name}.log.0") or contents(f"{FOLDER}/{name}.log.0").count(b"\n") < 9):
        time.sleep(0.01)
    return p


def saved_by(name, out):
    step, epoch, _ = newest(name)
    if step < 9 or (step == 0 and epoch == 0):
        fail(f"the signal must save where the run stands, got step {step}", out)


def sigterm():
    """SIGTERM saves between two steps; the resumed run continues from there."""
    make_data()
    whole = train("whole")
    p = begin("term")
    p.send_signal(signal.SIGTERM)
    out = p.communicate(timeout=30)[0]
    saved_by("term", out)
    if p.returncode != 143 or "have ended" in out:
        fail(f"a run that SIGTERM stopped must end with code 143 and without a word of failure, got {p.returncode}", out)
    code, out, _ = train("term", "--resume")
    if code != 0 or re.search(r"done .*", out).group(0) != re.search(r"done .*", whole[1]).group(0):
        fail("the run that was stopped and resumed ended differently", whole[1] + out)


def signals():
    """Each signal saves and ends with a code of its own, also when only one rank gets it; what is ignored is ignored."""
    make_data()
    for name, number, nproc, to_rank in (("hup", signal.SIGHUP, 2, False), ("int", signal.SIGINT, 1, False), ("hup1", signal.SIGHUP, 1, False), ("one", signal.SIGTERM, 2, True)):
        p = begin(name, nproc=nproc)
        if to_rank:
            with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
                os.kill(int(f.read().split()[1]), number)
        else:
            p.send_signal(number)
        out = p.communicate(timeout=30)[0]
        saved_by(name, out)
        if p.returncode != 128 + number:
            fail(f"{name}: the exit code must be {128 + number}, got {p.returncode}", out)
    p = begin("nohup", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    p.send_signal(signal.SIGHUP)
    out = p.communicate(timeout=60)[0]
    if p.returncode != 0 or "stopped=0" not in out:
        fail(f"SIGHUP under nohup must do nothing, got code {p.returncode}", out)


def streams():
    """Nobody reads what a run prints: it goes on to its end, and says so once where somebody may read it."""
    make_data()
    def ends_well(name, err, *words):
        code = p.wait(60)
        if code != 0 or newest(name)[1] != 2:
            fail(f"{name}: the run must go on to its end, got code {code}", err)
        for word in words:
            if len(re.findall(word, err)) != 1:
                fail(f"{name}: stderr must say once: {word}", err)
    for nproc in (1, 2):
        reader, writer = os.pipe()
        p = begin(f"pipe{nproc}", nproc=nproc, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        os.close(reader)
        ends_well(f"pipe{nproc}", p.communicate(timeout=60)[1], "progress is no longer shown: Broken pipe; the run goes on")
    with open("/dev/full", "w") as full:
        p = begin("full", stdout=full, stderr=subprocess.PIPE)
        ends_well("full", p.communicate(timeout=60)[1], "progress is no longer shown: No space left on device; the run goes on")
    p = begin("closed", stdout=None, stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1))
    ends_well("closed", p.communicate(timeout=60)[1], "standard output is closed")
    reader, writer = os.pipe()  # both streams at once, and nobody to tell
    p = begin("both", stdout=writer, stderr=writer)
    os.close(writer)
    os.close(reader)
    ends_well("both", "")


def bad_input():
    make_data()
    code, out, _ = train("good")
    if code != 0:
        fail("the good run failed", out)

    def with_damage(name, words, change):
        keep = f"{FOLDER}/keep"
        shutil.copytree(DATA, keep)
        change()
        forget_index()
        code, out, seconds = train(name, save_every=1000)
        ends_with(code, out, seconds, *words)
        shutil.rmtree(DATA)
        shutil.move(keep, DATA)

    with_damage("missing", [r"part-3\.tar", "HINT"], lambda: os.remove(f"{DATA}/part-3.tar"))
    with_damage("cut", [r"part-2\.tar", "HINT"], lambda: os.truncate(f"{DATA}/part-2.tar", 60000))

    def break_picture():
        path = f"{DATA}/part-4.tar"
        data = bytearray(contents(path))
        at = data.index(b"IDAT", 20000)
        data[at + 8] ^= 0xff
        with open(path, "wb") as f:
            f.write(data)
    with_damage("picture", [r"part-4\.tar", r"sample 'sample\d+'", "HINT"], break_picture)

    ends_with(*train("good", "--resume", "--hidden", 17), "model", r"shape", "HINT")
    code, out, _ = train("good", "--resume", nproc=3)
    if code != 0 or "nothing is left to train" not in out:
        fail("three ranks must load what two saved at the end", out)
    ends_with(*train("good", "--resume", "--seed", 4), "seed", "HINT")

    ends_with(*train("full", limit=3000), "step-", "HINT")  # a disk that is full at the first checkpoint
    code, out, _ = train("part")
    if code != 0:
        fail("the run before the full disk failed", out)
    ends_with(*train("thrown", "--throw-at", 9, "--kill-rank", 1), r"rank 1", "the test throws here")
    ends_with(*train("thrown", "--resume", "--window", 50), "window 100", "50", "HINT")  # another chain: the checkpoint lies in mid-epoch
    ends_with(*train("thrown"), "earlier run", "HINT")
    code, out, _ = train("thrown", "--resume")
    if code != 0:
        fail("the last checkpoint before the throw must load", out)


def more_ranks_than_samples():
    make_data()
    for shard in (0, 2, 3, 4, 5):
        shutil.copy(f"{DATA}/part-6.tar", f"{DATA}/part-{shard}.tar")
    forget_index()
    ends_with(*train("few", nproc=6), "6 ranks", "5 samples|without a sample", "HINT")


def empty_shard():
    """part-6 has no samples in every other case as well; here all are like it."""
    make_data()
    for shard in range(6):
        shutil.copy(f"{DATA}/part-6.tar", f"{DATA}/part-{shard}.tar")
    forget_index()
    ends_with(*train("none"), "sample", "HINT")


def full_disk():
    """The disk is full at a later checkpoint: the job ends with a sentence, and the one before still loads."""
    make_data()
    code, out, _ = train("full", "--throw-at", 9, "--kill-rank", 0)  # leaves checkpoints 0 and 7
    step = newest("full")[0]
    if step != SAVE_EVERY:
        fail(f"expected the checkpoint of step {SAVE_EVERY}, got {step}", out)
    ends_with(*train("full", "--resume", limit=6000), r"step-\d+", "HINT")
    if newest("full")[0] != step:
        fail("a failed save must leave the last checkpoint as it was")
    code, out, _ = train("full", "--resume")
    if code != 0:
        fail("the last complete checkpoint must load", out)


try:
    {"resume2": lambda: resume(2, -1), "resume3": lambda: resume(3, 1), "resume4": lambda: resume(4, 0), "elastic": elastic, "changed": changed, "sigterm": sigterm, "signals": signals, "streams": streams, "bad_input": bad_input,
     "more_ranks_than_samples": more_ranks_than_samples, "empty_shard": empty_shard, "full_disk": full_disk}[CASE]()
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
