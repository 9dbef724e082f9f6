"""Fails if the given headers, together, read a file that neither is ours nor is read by <bits/stdc++.h>.

usage: std_only.py COMPILER INCLUDE_DIR HEADER...
"""
import os
import subprocess
import sys

compiler, include_dir, headers = sys.argv[1], os.path.realpath(sys.argv[2]), sys.argv[3:]


def files_read(text):
    rule = subprocess.run([compiler, "-std=c++20", "-pthread", "-M", "-x", "c++", f"-I{include_dir}", "-"], input=text, text=True,
                          stdout=subprocess.PIPE, check=True).stdout
    return {os.path.realpath(f) for f in rule.replace("\\\n", " ").split()[1:] if f != "-"}


standard = files_read("#include <bits/stdc++.h>\n")
ours = files_read("".join(f'#include "{h}"\n' for h in headers))
foreign = sorted(f for f in ours - standard if not f.startswith(include_dir + os.sep))
for f in foreign:
    print(f"core, sources and stages: only the standard library may be included, got {f}", file=sys.stderr)
sys.exit(bool(foreign))
