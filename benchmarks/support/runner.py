"""Processes that a benchmark compares: each has imported all it needs before the first round, and they take turns."""
import functools
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PENSTOCK_BUILD_DIR", ROOT / "build/release"))


class Runner:
    """A process that runs one pass for every line it reads; `reason` says why there is none. `command`: a list, or that reason."""

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


@functools.cache
def rival(name):
    """The Python that imports what comparative/setup.sh calls `name`, and None; or None and why there is none."""
    found = subprocess.run([ROOT / "benchmarks/comparative/setup.sh", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if found.returncode != 0:
        return None, (found.stderr.strip().splitlines() or ["setup.sh failed"])[-1]
    return found.stdout.strip().splitlines()[-1], None


def take_turns(runners, rounds):
    """{name: [figures of each round]}; the first round is not counted, and every round begins with another one."""
    found = {name: [] for name in runners}
    order = list(runners)
    for turn in range(-1, rounds):
        for name in order:
            figures = runners[name].round()
            if figures is not None and turn >= 0:
                found[name].append(figures)
        order.append(order.pop(0))
    for runner in runners.values():
        runner.end()
    return found
