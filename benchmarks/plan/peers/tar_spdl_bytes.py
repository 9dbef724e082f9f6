"""SPDL's iter_tarfile over a shard in memory: the fields are views."""
from pathlib import Path

from spdl.io import iter_tarfile

from grouping import grouped


def samples(paths):
    for path in paths:
        yield from grouped(iter_tarfile(Path(path).read_bytes()))
