"""SPDL's iter_tarfile over an open file."""
from spdl.io import iter_tarfile

from grouping import grouped


def samples(paths):
    for path in paths:
        with open(path, "rb") as file:
            yield from grouped(iter_tarfile(file))
