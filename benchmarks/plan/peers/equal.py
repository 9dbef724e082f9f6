"""One rank of a peer of benchmarks/plan/equal_batches.py: its epoch with every variant that the peer's file has, as JSON {variant: [[label, ...], ...]};
a variant that fails is {variant: "why"}. RANK and WORLD_SIZE are set, as torchrun sets them.

    equal.py equal_webdataset prepare FOLDER     whatever files the peer needs beside the tar shards, once
    equal.py equal_webdataset read FOLDER BATCH
"""
import importlib
import json
import os
import sys
from pathlib import Path


def main():
    peer, what, folder = importlib.import_module(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    if what == "prepare":
        getattr(peer, "prepare", lambda folder: None)(folder)
        return
    rank, world, found = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), {}
    for name, batches in peer.VARIANTS.items():
        try:
            found[name] = [[int(label) for label in batch] for batch in batches(folder, rank, world, int(sys.argv[4]))]
        except Exception as e:
            found[name] = f"{type(e).__name__}: {e}"
    sys.stdout.flush()
    print("\n" + json.dumps(found), flush=True)
    os._exit(0)  # some leave threads and process groups behind that take seconds to end


if __name__ == "__main__":
    main()
