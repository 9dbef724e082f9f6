"""Writes a translation unit that includes what our headers need of others, then defines macros that system headers are known
to define, then includes our headers, twice.

usage: poison.py INCLUDE_DIR OUTPUT HEADER...
"""
import pathlib
import re
import sys

NAMES = ["I", "B0"]  # complex.h; termios.h
CALLS = {"min": "a, b", "max": "a, b", "major": "a", "minor": "a"}  # windows.h; sys/sysmacros.h. (std::min)(a, b) is no call of a macro

include_dir, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
headers = [pathlib.Path(h) for h in sys.argv[3:]]
others = {}  # a dictionary keeps the order: some libraries want theirs


def collect(path, seen):
    """Own headers of other rooms are read too: they are included below the poison as well."""
    if path in seen or not path.is_file():
        return
    seen.add(path)
    for name in re.findall(r'^\s*#\s*include\s*<([^>]+)>', path.read_text(), re.M):
        if name.startswith("penstock/"):
            collect(include_dir / name, seen)
        else:
            others[name] = None


seen = set()
for header in headers:
    collect(header, seen)
# stdio first: jpeglib.h needs it before itself
lines = ["#include <cstdio>"] + [f"#if __has_include(<{n}>)\n#include <{n}>\n#endif" for n in others]
for name in NAMES:
    lines += [f"#undef {name}", f'#define {name} this_name_is_a_macro_somewhere("{name}")']
for name, arguments in CALLS.items():
    lines += [f"#undef {name}", f'#define {name}({arguments}) this_name_is_a_macro_somewhere("{name}")']
for _ in range(2):
    lines += [f"#include <{h.relative_to(include_dir)}>" for h in headers]
output.write_text("\n".join(lines) + "\n")
