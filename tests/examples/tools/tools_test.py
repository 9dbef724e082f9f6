"""Runs penstock-doctor and penstock-index on small shards and compares what they print with the recorded text beside this file.

usage: tools_test.py DOCTOR INDEX [--record]     --record writes the texts anew: read the difference before you commit it
"""
import difflib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).parent
RECORD = "--record" in sys.argv
PROGRAMS = {"doctor": str(pathlib.Path(sys.argv[1]).resolve()), "index": str(pathlib.Path(sys.argv[2]).resolve())}
failures = 0


def shard(path, members):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as t:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if data is None:
                info.type, info.linkname = tarfile.SYMTYPE, "elsewhere"
            else:
                info.size = len(data)
            t.addfile(info, io.BytesIO(data or b""))


def samples(first, n):
    return [(f"{i:05d}.{ext}", data) for i in range(first, first + n) for ext, data in (("cls", str(i % 10).encode()), ("jpg", bytes([i % 251]) * (100 + i % 300)))]


def data_set(directory, sizes):
    directory.mkdir()
    first = 0
    for k, n in enumerate(sizes):
        shard(directory / f"train-{k:03d}.tar", samples(first, n))
        first += n


def flip(path, at, bits=1):
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    data = bytearray(path.read_bytes())
    data[at] ^= bits
    path.write_bytes(data)
    os.utime(path, ns=times)


def fail(what):
    global failures
    failures += 1
    print(f"FAILED: {what}")


def case(name, status, program, *arguments):
    """The exit status and the output of one call; the recorded text holds both streams."""
    done = subprocess.run([PROGRAMS[program], *arguments], capture_output=True, text=True)
    got = done.stdout + done.stderr
    if done.returncode != status:
        fail(f"{name}: exit status {done.returncode} instead of {status}\n{got}")
    recorded = HERE / f"{name}.txt"
    if RECORD:
        recorded.write_text(got)
    expected = recorded.read_text() if recorded.exists() else ""
    if got != expected:
        fail(f"{name}: the output differs\n" + "".join(difflib.unified_diff(expected.splitlines(True), got.splitlines(True), "recorded", "printed")))


def main(directory):
    os.chdir(directory)
    root = pathlib.Path(".")
    case("doctor_help", 0, "doctor", "--help")
    case("index_help", 0, "index", "--help")
    case("doctor_no_match", 2, "doctor", "nothing-*.tar")
    case("doctor_bad_option", 2, "doctor", "x.tar", "--wrold", "8")
    case("doctor_bad_number", 2, "doctor", "x.tar", "--world", "none")
    case("index_bad_command", 2, "index", "biuld", "x.tar")
    for program, status in (("doctor", 2), ("index", 2)):
        if subprocess.run([PROGRAMS[program]], capture_output=True).returncode != status:
            fail(f"{program} without arguments does not exit with {status}")

    data_set(root / "healthy", [90, 62, 89, 74, 65, 80, 71, 83, 67, 77])
    case("doctor_healthy", 0, "doctor", "healthy/train-{000..009}.tar", "--world", "8", "--batch", "8")
    case("doctor_few_shards", 0, "doctor", "healthy/train-{000..001}.tar", "--world=4", "--batch=16", "--workers=2")
    case("doctor_even", 0, "doctor", "healthy/train-000.tar", "--world", "1", "--batch", "30")
    case("doctor_plan", 0, "doctor", "healthy/train-{000..009}.tar", "--world", "3", "--plan")

    # every way to be broken that a header shows
    data_set(root / "broken", [40] * 8)
    data = (root / "broken/train-001.tar").read_bytes()
    (root / "broken/train-001.tar").write_bytes(data[:30000])
    flip(root / "broken/train-002.tar", 20480 + 5)
    data = (root / "broken/train-003.tar").read_bytes()
    (root / "broken/train-003.tar").write_bytes(data[:61440])
    (root / "broken/train-004.tar").write_bytes(b"")
    (root / "broken/train-005.tar").write_bytes(b"\x1f\x8b" + bytes(1000))
    shard(root / "broken/train-006.tar", samples(900, 3) + [("00950.cls", b"1"), ("00950.CLS", b"2"), ("00951.cls", b"1"), ("00901.txt", b"again"), ("00952.cls", b"1"), ("00952.CLS", b"2")]
          + [(f"{i:05d}.txt", b"again") for i in (950, 900, 952, 902, 951, 901)])
    os.remove(root / "broken/train-007.tar")
    case("doctor_broken", 1, "doctor", "broken/train-{000..007}.tar", "--world", "4", "--batch", "8")

    # nothing wrong, much to look at
    data_set(root / "odd", [50, 50, 50, 4])
    shard(root / "odd/train-004.tar", samples(0, 30) + [("x/._00001.jpg", b"mac"), ("__meta__", b"about"), ("00990.cls", b""), ("00992.png", b"p")])
    shard(root / "odd/train-005.tar", [])
    case("doctor_odd", 0, "doctor", "odd", "--world", "2", "--batch", "8")
    data_set(root / "nothing", [0])
    case("doctor_nothing", 1, "doctor", "nothing/")

    # what no sample gets, counts that are wrong, checksums that are not there
    data_set(root / "refused", [5, 5, 5, 5])
    shard(root / "refused/train-000.tar", samples(0, 3) + [("readme", b"text"), ("00991.jpg", None), ("00992.jpg", None), (".00993.png", b"p")])
    (root / "refused/train-001.tar").write_bytes((root / "refused/train-001.tar").read_bytes() + (root / "refused/train-002.tar").read_bytes())
    (root / "refused/train-002.tar").write_bytes((root / "refused/train-002.tar").read_bytes() + b"more")
    (root / "refused/sizes.json").write_text('{"train-000.tar": 3, "train-001.tar": 10, "train-002.tar": 5, "train-003.tar": 4}')
    case("doctor_refused", 1, "doctor", "refused/train-{000..003}.tar", "--world", "2", "--batch", "4", "--verify")
    case("index_refused", 1, "index", "build", "refused/train-{000..003}.tar")

    data_set(root / "indexed", [3, 0, 2])
    case("index_print_none", 1, "index", "print", "indexed")
    case("index_build", 0, "index", "build", "indexed")
    case("index_build_again", 0, "index", "build", "indexed")
    case("index_build_crc", 0, "index", "build", "--crc", "indexed/train-{000..002}.tar")
    case("index_print", 0, "index", "print", "--samples", "indexed")
    case("index_verify", 0, "index", "verify", "indexed")
    flip(root / "indexed/train-002.tar", (root / "indexed/train-002.tar").read_bytes().find(b"00004.jpg") + 512 + 7, 32)
    case("index_verify_flipped", 1, "index", "verify", "indexed")
    case("index_verify_headers", 0, "index", "verify", "--headers", "indexed")
    case("doctor_verify", 1, "doctor", "indexed", "--verify", "--world", "1", "--batch", "2")
    os.utime(root / "indexed/train-000.tar", (1, 1))
    case("index_verify_touched", 1, "index", "verify", "indexed")
    flip(root / "indexed/train-002.tar", (root / "indexed/train-002.tar").read_bytes().find(b"00004.jpg") + 512 + 7, 32)
    shutil.copytree(root / "indexed", root / "copied", copy_function=shutil.copy)  # as cp -r: every time is another one
    case("index_verify_copied", 0, "index", "verify", "copied")
    case("index_build_copied", 0, "index", "build", "copied")
    shard(root / "copied/train-002.tar", samples(3, 2)[:-1] + [("00004.jpg", bytes(104))])
    os.utime(root / "copied/train-002.tar", (2, 2))
    case("index_build_rewritten", 0, "index", "build", "copied")
    os.rename(root / "copied/.penstock-index", root / "copied/penstock-index")
    os.rename(root / "copied/.penstock-index.d", root / "copied/penstock-index.d")
    case("index_build_old_name", 0, "index", "build", "copied")
    (root / "copied/.penstock-index").write_text("penstock-index 3\nnonsense\n")
    case("index_build_damaged_index", 0, "index", "build", "copied")
    (root / "copied/.penstock-index").write_text("my notes")
    case("index_build_foreign", 2, "index", "build", "copied")
    if (root / "copied/.penstock-index").read_text() != "my notes":
        fail("a foreign file was replaced")
    os.remove(root / "copied/.penstock-index")
    os.mkdir(root / "copied/.penstock-index.penstock-tmp")  # in the way, for root too
    case("index_build_unwritable", 2, "index", "build", "copied")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w") as full:
            if subprocess.run([PROGRAMS["index"], "print", "healthy"], stdout=full, stderr=subprocess.DEVNULL).returncode != 2:
                fail("an output that is lost does not exit with 2")
    shutil.rmtree(root / "indexed/.penstock-index.d")
    case("index_verify_no_block", 1, "index", "verify", "indexed/train-001.tar")
    data_set(root / "faulty", [3])
    shard(root / "faulty/train-001.tar", samples(3, 2) + [(f"{i:05d}.{ext}", b"1") for i in range(10, 15) for ext in ("cls", "CLS")] + samples(20, 2))
    shard(root / "faulty/train-002.tar", samples(30, 2) + [("00040.__x__", b"1")])
    case("index_build_faulty", 0, "index", "build", "--crc", "--threads", "1", "faulty")
    case("index_verify_faulty", 1, "index", "verify", "faulty")
    case("index_verify_faulty_headers", 1, "index", "verify", "--headers", "faulty")
    case("index_missing", 1, "index", "build", "indexed/train-{000..003}.tar")
    return failures


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(1 if main(temporary) else 0)
