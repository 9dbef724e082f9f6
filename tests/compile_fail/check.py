"""Compiles one file that must be refused, and checks that the refusal is the sentence of its first line and nothing else.
The words of every line `// note: <word>...` must stand together in one line of what the compiler says around it: which stage, which item.

usage: check.py [--repaired-elsewhere] FILE COMPILER ARGUMENT...
  --repaired-elsewhere   another test compiles it with PENSTOCK_REPAIRED
"""
import os
import pathlib
import subprocess
import sys

here = sys.argv[1] != "--repaired-elsewhere"
file, *command = sys.argv[1 if here else 2:]
text = pathlib.Path(file).read_text()
first = text.split("\n", 1)[0]
if not first.startswith("// expect: "):
    sys.exit(f"{file}: the first line must be `// expect: <sentence>`, got `{first}`")
sentence = first.removeprefix("// expect: ").strip()
notes = [line.removeprefix("// note: ").split() for line in text.splitlines() if line.startswith("// note: ")]


def compile_it(*more):
    return subprocess.run([*command, *more, file], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "LC_ALL": "C"})


run = compile_it()
errors = [line for line in run.stdout.splitlines() if " error: " in line or " fatal error: " in line]
problem = None
if run.returncode == 0:
    problem = "it compiles"
elif not errors:
    problem = "the compiler failed without an error"
elif other := [line for line in errors if sentence not in line]:
    problem = "other errors than the sentence:\n    " + "\n    ".join(other[:5])
elif missing := [note for note in notes if not any(all(word in line for word in note) for line in run.stdout.splitlines())]:
    problem = "no line of the compiler's has the words " + ", nor ".join(" ".join(note) for note in missing)
elif here and "PENSTOCK_REPAIRED" in text and (repaired := compile_it("-DPENSTOCK_REPAIRED")).returncode != 0:
    problem = "it does not compile without the faulty part either:\n" + repaired.stdout
if problem:
    sys.exit(f"{file}: must be refused with `{sentence}`, but {problem}\n--- the compiler's words\n{run.stdout}")
print(f"refused in {len(run.stdout.splitlines())} lines, {len(run.stdout)} bytes")
