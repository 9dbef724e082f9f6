"""What train_classifier says to wrong arguments, and what it leaves alone.

usage: trainer_test.py TRAIN_CLASSIFIER
"""
import pathlib
import subprocess
import sys
import tempfile

TRAINER = str(pathlib.Path(sys.argv[1]).resolve())
failures = 0


def run(*arguments, cwd=None):
    done = subprocess.run([TRAINER, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, cwd=cwd)
    return done.returncode, done.stdout


def check(what, ok, output):
    global failures
    if not ok:
        failures += 1
        print(f"trainer_test: {what}:\n{output[-2000:]}")


for ranks in ([], ["--nproc=3"]):
    code, out = run("--help", *ranks)
    check(f"--help {ranks} must end with 0 and be printed once", code == 0 and out.count("--save-every") == 1 and "--nproc" in out, out)
    for wrong, word in ((["--nope"], "--nope"), (["--batch=0"], "--batch"), (["--epochs=many"], "many"), (["--resume=perhaps"], "perhaps")):
        code, out = run(*wrong, *ranks)
        check(f"{wrong} {ranks} must end with 2 and be said once, got {code}", code == 2 and out.count(word) == 1 and len(out.splitlines()) <= 3, out)

with tempfile.TemporaryDirectory(prefix="penstock-trainer-") as folder:
    precious = pathlib.Path(folder) / "photos"
    (precious / "step-0000000007").mkdir(parents=True)
    (precious / "holiday.jpg").write_bytes(b"sea")
    code, out = run("--data", folder, "--checkpoint", precious, cwd=folder)
    check("data that is not there is an error", code == 1 and "HINT" in out, out)
    left = sorted(str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob("*"))
    check("the folder of --checkpoint must stay as it was", [p for p in left if "lock" not in p] == ["photos", "photos/holiday.jpg", "photos/step-0000000007"], "\n".join(left))
sys.exit(failures != 0)
