"""Compiles host.cu, with the headers given, by nvcc as C++20, and runs it; then views.cu, which must be refused in one sentence.

Where no nvcc is found, or one that cannot do C++20, it says so and ends with 77: ctest reports the test as skipped.

usage: nvcc_test.py HOST_COMPILER INCLUDE_DIR WORK_DIR HEADER...
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

SKIPPED = 77
FLAGS = ["-std=c++20", "-O1", "-Werror", "all-warnings"]


def skip(why):
    print(f"SKIPPED: core, sources and stages were not compiled by nvcc: {why}")
    sys.exit(SKIPPED)


def find_nvcc():
    named = os.environ.get("CUDACXX")
    if named:
        return shutil.which(named) or sys.exit(f"CUDACXX must name nvcc, got '{named}', which is no program")
    folders = [os.environ[v] + "/bin" for v in ("CUDA_HOME", "CUDA_PATH") if v in os.environ]
    for path in [None, *folders, "/usr/local/cuda/bin"]:
        if found := shutil.which("nvcc", path=path):
            return found
    skip("no nvcc in $CUDACXX, PATH, $CUDA_HOME/bin or /usr/local/cuda/bin")


def run(*command):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "LC_ALL": "C"})


host, include, work, headers = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4:]
here = pathlib.Path(__file__).parent
nvcc = find_nvcc()
work.mkdir(parents=True, exist_ok=True)
compile_it = [nvcc, "-ccbin", host, *FLAGS, f"-I{include}", f"-I{work}"]

# what cannot be done with this toolkit alone is no fault of ours
(work / "empty.cu").write_text("#include <optional>\n#include <ranges>\nint main() {}\n")
probe = run(*compile_it, str(work / "empty.cu"), "-o", str(work / "empty"))
if probe.returncode != 0:
    release = re.search(r"release [\d.]+", run(nvcc, "--version").stdout)
    skip(f"{nvcc} ({release[0] if release else 'unknown release'}) with {host} cannot build an empty C++20 program:\n{probe.stdout[-2000:]}")

(work / "all.hpp").write_text("".join(f"#include <{pathlib.Path(h).relative_to(include)}>\n" for h in headers))
program = work / "host"
built = run(*compile_it, str(here / "host.cu"), "-o", str(program))
if built.returncode != 0:
    sys.exit(f"nvcc does not take core, sources and stages:\n{built.stdout[-6000:]}")
if built.stdout.strip():
    print(built.stdout[-2000:])
ran = run(str(program))
print(ran.stdout, end="")
if ran.returncode != 0:
    sys.exit(f"host.cu, built by nvcc, ended with {ran.returncode}")

refused = here / "views.cu"
sentence = refused.read_text().split("\n", 1)[0].removeprefix("// expect: ")
said = run(*compile_it, "-c", str(refused), "-o", str(work / "views.o"))
if said.returncode == 0 or sentence not in said.stdout:
    sys.exit(f"views.cu must be refused with `{sentence}`, but nvcc ended with {said.returncode} and said:\n{said.stdout[-2000:]}")
