"""Compiles one file that must be refused, and checks that the refusal is the sentence of its first line and nothing else.
The words of every line `// note: <word>...` must stand together in one line of what the compiler says around it: which stage, which item.

usage: check.py --said TEXT FILE COMPILER ARGUMENT...
         TEXT: what the compiler said of all such files together. Where that is clear about FILE, it is not compiled again
       check.py --together TEXT COMPILER ARGUMENT...
         compiles them, and keeps what was said in TEXT
"""
import os
import pathlib
import re
import subprocess
import sys


def is_error(line):
    return " error: " in line or " fatal error: " in line


def compile_it(*command):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "LC_ALL": "C"})


def diagnostics(text):
    """Groups of lines: what leads to an error, the error, and what is said of it."""
    group, erred = [], False
    for line in text.splitlines():
        leads = re.match(r"In file included from |\S+: In |\S+: At global scope", line) or is_error(line)
        if erred and leads:
            yield group
            group, erred = [], False
        group.append(line)
        erred = erred or is_error(line)
    if erred:
        yield group


class case:
    def __init__(self, file):
        self.file, self.text = file, pathlib.Path(file).read_text()
        first = self.text.split("\n", 1)[0]
        if not first.startswith("// expect: "):
            sys.exit(f"{file}: the first line must be `// expect: <sentence>`, got `{first}`")
        self.sentence = first.removeprefix("// expect: ").strip()
        self.notes = [line.removeprefix("// note: ").split() for line in self.text.splitlines() if line.startswith("// note: ")]

    def problem(self, lines):
        errors = [line for line in lines if is_error(line)]
        if not errors:
            return "the compiler failed without an error"
        if other := [line for line in errors if self.sentence not in line]:
            return "other errors than the sentence:\n    " + "\n    ".join(other[:5])
        if missing := [note for note in self.notes if not any(all(word in line for word in note) for line in lines)]:
            return "no line of the compiler's has the words " + ", nor ".join(" ".join(note) for note in missing)
        return None

    def is_clear_in(self, said):
        """Whether the errors that name this file are its sentence, and every other one names another file."""
        groups = list(diagnostics(said))
        names = re.compile(r"/compile_fail/\w+\.cpp:\d")
        if not all(any(names.search(line) for line in group) for group in groups):
            return False
        mine = [line for group in groups if any(f"{self.file}:" in line for line in group) for line in group]
        return self.problem(mine) is None


arguments = sys.argv[1:]
if arguments[0] == "--together":
    run = compile_it(*arguments[2:])
    pathlib.Path(arguments[1]).write_text(run.stdout)
    sys.exit(0 if run.returncode != 0 else "all of them compile")
said, wanted, command = pathlib.Path(arguments[1]), case(arguments[2]), arguments[3:]
if said.exists() and wanted.is_clear_in(said.read_text()):
    print("refused, among others")
    sys.exit(0)
run = compile_it(*command, wanted.file)
if problem := "it compiles" if run.returncode == 0 else wanted.problem(run.stdout.splitlines()):
    sys.exit(f"{wanted.file}: must be refused with `{wanted.sentence}`, but {problem}\n--- the compiler's words\n{run.stdout}")
print(f"refused in {len(run.stdout.splitlines())} lines, {len(run.stdout)} bytes")
