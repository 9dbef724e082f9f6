"""A newcomer's ten minutes: the programs of README.md are taken from its text, linked by its lines of CMake, and run.

usage: readme.py README WORK_FOLDER [ARGUMENT OF CMAKE...]
"""
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import tarfile
import textwrap
import zlib
from io import BytesIO

readme, work, options = pathlib.Path(sys.argv[1]).read_text(), pathlib.Path(sys.argv[2]), sys.argv[3:]
# What the README leaves to its reader.
STANDARD = "#include <cstdint>\n#include <iostream>\n#include <optional>\n#include <string>\n"
USE = """
template <class Items, class Ids>
void use(Items const& items, Ids const&) { std::cout << "batch of " << items.size() << '\\n'; }
"""


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", readme, re.M | re.S)


def only(what, found):
    found = list(found)
    if len(found) != 1:
        sys.exit(f"README.md must have one block of {what}, got {len(found)}")
    return found[0]


def png(side):
    rows = b"".join(b"\0" + bytes(random.randrange(256) for _ in range(side)) for _ in range(side))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)


def shards(names):
    for shard, name in enumerate(names):
        with tarfile.open(name, "w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in range(2):
                for suffix, data in (("png", png(28)), ("cls", str((shard + sample) % 10).encode())):
                    member = tarfile.TarInfo(f"{shard:04}-{sample}.{suffix}")
                    member.size = len(data)
                    tar.addfile(member, BytesIO(data))


def run(folder, *command):
    folder.mkdir(parents=True, exist_ok=True)
    got = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if got.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: ended with {got.returncode}\n{got.stdout}")
    return got.stdout


cpp = blocks("cpp")
trainer = only("a program that trains", (b for b in cpp if "int main(" in b))
statements = only("statements that begin with nothing", (b for b in cpp if "write_tar(" in b))
stage = only("a stage", (b for b in cpp if "ps::stage_of<" in b and "int main(" not in b))
lines = only("CMake", blocks("cmake"))
found = re.search(r"^find_package\(.*?\).*$", lines, re.M)
links = re.findall(r"^target_link_libraries\(.*$", lines, re.M)
if not found or len(links) != 2:
    sys.exit("README.md: its CMake must have a find_package() and two target_link_libraries()")

includes, body = statements.split("namespace ps = penstock;\n", 1)
work.mkdir(parents=True, exist_ok=True)
(work / "trainer.cpp").write_text(trainer)
(work / "app.cpp").write_text(f"{includes}{STANDARD}namespace ps = penstock;\n{stage}{USE}int main() {{\n{textwrap.indent(body, '    ')}"
                              "    for (auto const sum : sums) std::cout << sum << '\\n';\n}\n")
(work / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.25)\nproject(newcomer LANGUAGES CXX)\n" + found[0]
                                     + "\nadd_executable(app app.cpp)\nadd_executable(trainer trainer.cpp)\n" + "\n".join(links) + "\n")
build = work / "build"
run(work, "cmake", "-S", work, "-B", build, "-G", "Ninja", *options)
run(work, "cmake", "--build", build)

app = work / "app"
(app / "data").mkdir(parents=True, exist_ok=True)
run(app, build / "app")
said = run(app, build / "app").splitlines()  # a second time too, over what the first one wrote
promised = 2 * int(re.search(r"// (\d+) batches on each rank", body)[1])
if len([line for line in said if line.startswith("batch of ")]) != promised:
    sys.exit(f"README.md promises {promised} batches, got\n" + "\n".join(said))
if said[promised:] != re.search(r"ps::collect\(\);\s*// ([\d ]+)$", stage, re.M)[1].split():
    sys.exit(f"README.md promises other sums than {said[promised:]}")

pattern = re.search(r'shard_list\("data/train-\{(\d+)\.\.(\d+)\}\.tar"\)', trainer)
for ranks in ("1", "2"):
    folder = work / f"train{ranks}"
    if not (folder / "data").is_dir():
        (folder / "data").mkdir(parents=True)
        shards(folder / "data" / f"train-{number:0{len(pattern[1])}}.tar" for number in range(int(pattern[1]), int(pattern[2]) + 1))
    said = run(folder, build / "trainer", f"--nproc={ranks}")
    print(said)
    if not any((folder / "run").iterdir()):
        sys.exit("README.md's trainer left no checkpoint in run/")
