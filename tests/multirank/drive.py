"""Starts rank_program as one job, disturbs it, and looks at how its ranks end. Python's standard library only.

drive.py PROGRAM CASE: exit code 0 if the case went as promised, else a sentence per broken promise and the ranks' output.
"""
import os
import re
import signal
import subprocess
import sys
import time

PROGRAM = sys.argv[1]
LIMIT = 4.0      # --step-timeout of every job
AFTER = 12.0     # what naming, agreeing and leaving may take on top: about 6 s (11 s with a stopped rank), more on a loaded machine
problems = []


def expect(ok, sentence):
    if not ok:
        problems.append(sentence)


class process:
    """One process whose whole output is kept."""

    def __init__(self, args, env=None, stdin=None):
        full = {k: v for k, v in os.environ.items() if not k.startswith(("RANK", "WORLD_SIZE", "LOCAL_", "MASTER_", "TORCHELASTIC_", "SLURM_", "PMI", "OMPI_"))}
        full.update(OMP_NUM_THREADS="1", **(env or {}))
        self.out_path = f"/tmp/penstock-multirank-{os.getpid()}-{time.monotonic_ns()}"
        self.out = open(self.out_path, "w+b")
        self.started = time.monotonic()
        self.p = subprocess.Popen([PROGRAM, *args], env=full, stdin=stdin, stdout=self.out, stderr=subprocess.STDOUT)

    def text(self):
        with open(self.out_path, errors="replace") as f:
            return f.read()

    def wait(self, seconds):
        try:
            return self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def wait_for(self, pattern, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if re.search(pattern, self.text()):
                return True
            time.sleep(0.05)
        return False

    def end(self):
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()
        self.out.close()
        os.unlink(self.out_path)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(c) for c in f.read().split()]


def rank_of(pid):
    with open(f"/proc/{pid}/environ", "rb") as f:
        return int(dict(e.split(b"=", 1) for e in f.read().split(b"\0") if b"=" in e)[b"RANK"])


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def spawned(what, victim, sentence, world=3, code=None, speakers=None, limit=LIMIT):
    """--nproc: the ranks other than the victim print the sentence, the parent repeats it, and all is over in time."""
    job = process([f"--nproc={world}", f"--step-timeout={limit}", what, str(victim)])
    expect(job.wait_for("at step 2"), "the job did not get to step 2 in 30 s")
    begun = time.monotonic()
    got = job.wait(limit + AFTER + 5)
    text = job.text()
    expect(got is not None, f"the job still ran {time.monotonic() - begun:.1f} s after the failure")
    expect(got != 0, "the job ended with code 0")
    if code is not None:
        expect(got == code, f"the exit code must be {code}, got {got}")
    for r in speakers if speakers is not None else [r for r in range(world) if r != victim]:
        expect(re.search(rf"^\[rank {r}\] stopped: {sentence}", text, re.M), f"rank {r} did not say: {sentence}")
    expect(re.search(rf"^penstock: all {world} ranks have ended: {sentence}", text, re.M), f"the parent did not say: {sentence}")
    finish(job)


def finish(*jobs):
    text = "\n".join(j.text() for j in jobs)
    for j in jobs:
        j.end()
    if problems:
        print("\n".join(problems), "--- output:", text, sep="\n")
        sys.exit(1)


class agent_job:
    """What torchrun does: an agent serves the store, and starts the ranks with its variables."""

    def __init__(self, what, victim, world=3, agent=True, env=None):
        self.agent = process(["--serve-store"], stdin=subprocess.PIPE)
        expect(self.agent.wait_for(r"^\d+\s"), "the agent did not print its port")
        port = self.agent.text().split()[0]
        if not agent:  # by hand: rank 0 serves; the port is free again once the agent is gone
            self.agent.p.kill()
            self.agent.p.wait()
        self.error_files = [f"{self.agent.out_path}.error{r}" for r in range(world)]
        self.ranks = []
        for r in range(world):
            variables = dict(RANK=str(r), WORLD_SIZE=str(world), LOCAL_RANK=str(r), LOCAL_WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=port,
                             TORCHELASTIC_RUN_ID="test", TORCHELASTIC_RESTART_COUNT="0", TORCHELASTIC_ERROR_FILE=self.error_files[r])
            if agent:
                variables["TORCHELASTIC_USE_AGENT_STORE"] = "True"
            self.ranks.append(process([f"--step-timeout={LIMIT}", what, str(victim)], {**variables, **(env or {})}))

    def all_end(self, but=(), sentence=None, begun=None):
        end = (begun or time.monotonic()) + LIMIT + AFTER
        for r, p in enumerate(self.ranks):
            if r in but:
                continue
            code = p.wait(max(0.1, end - time.monotonic()))
            expect(code is not None, f"rank {r} still ran {LIMIT + AFTER:.0f} s after the failure")
            expect(code not in (0, None), f"rank {r} ended with code {code}")
            if sentence:
                expect(re.search(rf"^\[rank {r}\] stopped: {sentence}", p.text(), re.M), f"rank {r} did not say: {sentence}")
                try:
                    with open(self.error_files[r]) as f:
                        expect("py_callstack" in f.read(), f"rank {r}: no call stack in torchrun's error file")
                except OSError:
                    expect(False, f"rank {r} did not write torchrun's error file")

    def finish(self):
        for path in self.error_files:
            if os.path.exists(path):
                os.unlink(path)
        finish(self.agent, *self.ranks)


def case_finish():
    for world in (1, 2, 4):
        job = process([f"--nproc={world}", "finish"])
        code = job.wait(60)
        text = job.text()
        expect(code == 0, f"world {world}: exit code {code}")
        weights = set(re.findall(r"weights (\S+)", text))
        expect(text.count(": done") == world, f"world {world}: not every rank said that it is done")
        expect(len(weights) == 1, f"world {world}: the ranks' weights differ: {weights}")
        finish(job)


def case_throw():
    spawned("throw", 1, r"rank 1 failed: read_tar: data/shard-007.tar, byte 4096: the header's checksum is wrong", code=1, limit=30)


def case_throw_rank0():
    spawned("throw", 0, r"rank 0 failed: read_tar: data/shard-007.tar, byte 4096", code=1, limit=30)


def case_uncaught():
    job = process(["--nproc=2", "throw", "1", "uncaught"])
    expect(job.wait(30) == 1, "an uncaught exception must end with exit code 1")
    expect("[rank 1] error: read_tar" in job.text(), "rank 1 did not print its error")
    expect("[rank 0] stopped: rank 1 failed: read_tar" in job.text(), "rank 0 did not name rank 1")
    finish(job)


def case_kill():
    spawned("kill", 1, r"rank 1 was killed by signal 9 \(SIGKILL\)", code=137, limit=30)


def case_kill_rank0():
    spawned("kill", 0, r"rank 0 was killed by signal 9 \(SIGKILL\)", code=137, limit=30)


def case_exit():
    spawned("exit", 1, r"rank 1 ended with exit code 7", code=7, limit=30)


def case_stop():
    spawned("stop", 1, r"rank 1 does not answer: last sign of life \d+\.\d s ago, at step \d+, it ")


def case_stop_rank0():
    spawned("stop", 0, r"rank 0 does not answer: last sign of life \d+\.\d s ago, at step \d+, it ")


def case_read():
    spawned("read", 1, r"rank 1 is late: alive, but at step 3 it waits for data for \d+\.\d s")


def case_compute():
    spawned("compute", 1, r"rank 1 is late: alive, but at step 3 it computes for \d+\.\d s")


def case_parent_killed():
    job = process(["--nproc=3", "none", "-1"])
    expect(job.wait_for("at step 2"), "the job did not get to step 2 in 30 s")
    ranks = children(job.p.pid)
    expect(len(ranks) == 3, f"three children were expected, got {ranks}")
    job.p.kill()
    job.wait(5)
    end = time.monotonic() + 5
    while any(alive(r) for r in ranks) and time.monotonic() < end:
        time.sleep(0.05)
    expect(not any(alive(r) for r in ranks), "ranks outlived their parent by 5 s")
    finish(job)


def case_sigterm():
    """A signal to the parent reaches the ranks; they have no handler, so the first one that dies is named."""
    job = process(["--nproc=2", "none", "-1"])
    expect(job.wait_for("at step 2"), "the job did not get to step 2 in 30 s")
    ranks = children(job.p.pid)
    job.p.terminate()
    code = job.wait(5)
    expect(code == 143, f"the exit code must be 143, got {code}")
    expect(not any(alive(r) for r in ranks), "a rank survived SIGTERM")
    finish(job)


def case_second_job():
    """Two jobs at once on one machine do not meet."""
    jobs = [process(["--nproc=2", "finish"]) for _ in range(2)]
    for j in jobs:
        expect(j.wait(60) == 0, "a job failed beside another one")
        expect(j.text().count(": done") == 2, "a rank is missing")
    finish(*jobs)


def case_foreign_job():
    """Two jobs that were given one port by hand: a rank of the other one is sent away at once, and does not end the job that it met."""
    variables = lambda rank, job: dict(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT="28733", **({"PENSTOCK_JOB_ID": job} if job else {}))
    first = process(["finish"], variables(0, "a"))
    foreign = process(["finish"], variables(1, "b"))
    unnamed = process(["finish"], variables(1, None))
    expect(foreign.wait(20) == 1, "the rank of another job must end with code 1")
    expect("is that of job 'a', and this is rank 1 of job 'b'" in foreign.text() and "HINT" in foreign.text(), "the two jobs are not named")
    expect(unnamed.wait(20) == 1, "the rank of a job without an id must end with code 1")
    expect("and this is rank 1 of a job without an id" in unnamed.text(), "the job without an id is not named")
    second = process(["finish"], variables(1, "a"))
    expect(first.wait(60) == 0 and second.wait(60) == 0, "the job that was met must finish")
    finish(first, foreign, unnamed, second)


def case_suspended():
    """All processes of a job stand still for longer than every time-out, and wake up one after the other: nobody is blamed."""
    for order in (1, -1):
        job = process(["--nproc=3", f"--step-timeout={LIMIT}", "steady"])
        expect(job.wait_for("at step 2"), "the job did not get to step 2 in 30 s")
        everyone = [job.p.pid, *children(job.p.pid)][::order]
        expect(len(everyone) == 4, f"a parent and three ranks were expected, got {everyone}")
        for pid in everyone:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(LIMIT + 4)
        for pid in everyone:
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.3)
        code = job.wait(60)
        expect(code == 0, f"the job must finish after its pause, got code {code}")
        expect(job.text().count(": done") == 3, "not every rank said that it is done")
        finish(job)


def case_torchrun():
    job = agent_job("finish", -1)
    for r, p in enumerate(job.ranks):
        expect(p.wait(60) == 0, f"rank {r} failed")
    expect("(torchrun, job " in job.ranks[0].text(), "rank 0 did not say that torchrun started it")
    job.finish()


def case_torchrun_throw():
    job = agent_job("throw", 1)
    expect(job.ranks[0].wait_for("at step 2"), "the job did not get to step 2 in 30 s")
    job.all_end(but=(1,), sentence="rank 1 failed: read_tar")
    with open(job.error_files[1]) as f:
        expect("checksum is wrong" in f.read(), "the error file of the failed rank does not hold its error")
    job.finish()


def case_torchrun_kill():
    """Nobody reports the death of a rank here: its silence does."""
    job = agent_job("kill", 1)
    expect(job.ranks[0].wait_for("at step 2"), "the job did not get to step 2 in 30 s")
    job.all_end(but=(1,), sentence="rank 1 does not answer: last sign of life")
    job.finish()


def case_torchrun_agent_killed():
    job = agent_job("none", -1)
    expect(job.ranks[0].wait_for("at step 2"), "the job did not get to step 2 in 30 s")
    job.agent.p.kill()
    job.all_end(sentence=r"the store at 127\.0\.0\.1:\d+ is gone, so the launcher that served it is")
    job.finish()


def case_torchrun_agent_stopped():
    """A store that accepts but does not answer: no call into it may keep a rank."""
    job = agent_job("none", -1)
    expect(job.ranks[0].wait_for("at step 2"), "the job did not get to step 2 in 30 s")
    job.agent.p.send_signal(signal.SIGSTOP)
    job.all_end(sentence=r"the store at 127\.0\.0\.1:\d+ is gone, so the launcher that served it is: no answer for")
    job.finish()


def case_by_hand():
    job = agent_job("finish", -1, agent=False)
    for r, p in enumerate(job.ranks):
        expect(p.wait(60) == 0, f"rank {r} failed")
    job.finish()


def case_by_hand_kill_rank0():
    job = agent_job("kill", 0, agent=False)
    expect(job.ranks[0].wait_for("at step 2"), "the job did not get to step 2 in 30 s")
    job.all_end(but=(0,), sentence="rank 0 does not answer: it served the store at")
    job.finish()


def case_by_hand_stop_rank0():
    job = agent_job("stop", 0, agent=False)
    expect(job.ranks[0].wait_for("at step 2"), "the job did not get to step 2 in 30 s")
    job.all_end(but=(0,), sentence="rank 0 does not answer: it served the store at")
    job.finish()


def case_by_hand_throw_rank0():
    """The store dies with rank 0, after the others have read why."""
    job = agent_job("throw", 0, agent=False)
    expect(job.ranks[0].wait_for("at step 2"), "the job did not get to step 2 in 30 s")
    job.all_end(but=(0,), sentence="rank 0 failed: read_tar")
    job.finish()


def case_missing_rank():
    p = process(["--init-timeout=2", "finish"], dict(RANK="0", WORLD_SIZE="3", MASTER_ADDR="127.0.0.1", MASTER_PORT="28731"))
    expect(p.wait(15) not in (0, None), "rank 0 must give up")
    expect(re.search(r"2 of 3 ranks did not join within 2\.0 s: rank 1, 2", p.text()), "the missing ranks are not named")
    finish(p)


def connects_to(port, seconds=30):
    """Whether a process of this machine has, within that time, a connection to the port."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with open(table) as f:
                if any(row.split()[2].endswith(f":{port:04X}") and row.split()[3] == "01" for row in f.readlines()[1:]):
                    return True
        time.sleep(0.05)
    return False


def case_missing_rank0():
    """Nobody serves the store, or who served it dies while the others join."""
    at = lambda rank, port: dict(RANK=str(rank), WORLD_SIZE="3", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    p = process(["--init-timeout=2", "finish"], at(1, "28733"))
    expect(p.wait(30) not in (0, None), "rank 1 must give up")
    expect(re.search(r"no store answers at 127\.0\.0\.1:28733 within 2 s", p.text()), "that nobody serves the store is not said")
    server, one = process(["finish"], at(0, "28735")), process(["finish"], at(1, "28735"))
    expect(connects_to(28735), "rank 1 did not reach the store in 30 s")
    time.sleep(1)  # both wait for rank 2
    expect(server.p.poll() is None and one.p.poll() is None, "both ranks must wait")
    server.p.kill()
    expect(one.wait(30) == 3, "rank 1 must end because of another rank")
    expect(re.search(r"the store at 127\.0\.0\.1:28735 was lost while the ranks joined: rank 0, which served it, has ended", one.text()), "who was lost is not said")
    finish(p, server, one)


if __name__ == "__main__":
    globals()["case_" + sys.argv[2]]()
