"""One peer of benchmarks/plan/damage.py over one set of shards; prints what benchmarks/plan/damage_ours.cpp prints.

    damage.py tar_webdataset prepare SHARD...    index files, where the peer has any
    damage.py tar_webdataset read SHARD...
"""
import importlib
import os
import sys
import warnings


def shown(sample, name):
    return bytes(sample.get(name, b"")).hex() or "-"


def main():
    peer, what, shards = importlib.import_module(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if what == "prepare":
        getattr(peer, "prepare", lambda paths: None)(shards)
        return
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            for sample in peer.samples(shards):
                print(shown(sample, "cls"), shown(sample, "bin"))
            end = None
        except Exception as e:
            end = f"{type(e).__name__}: {e}"
    for warning in told:
        if not issubclass(warning.category, (DeprecationWarning, ResourceWarning)):
            print("told:", " ".join(str(warning.message).split()))
    if end:
        print("error:", " ".join(end.split()))
    sys.stdout.flush()
    os._exit(0)


main()
