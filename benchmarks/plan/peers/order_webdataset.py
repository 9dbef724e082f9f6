"""WebDataset's order of an epoch: its shard shuffle and its window, which starts at a tenth and grows while items leave.

    order_webdataset.py WINDOW SEED SHARD...
"""
import random
import sys

import webdataset as wds


def main():
    window, seed, shards = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    dataset = wds.WebDataset(shards, shardshuffle=len(shards), seed=seed).shuffle(window, rng=random.Random(seed))
    sys.stdout.writelines(f"{int(sample['cls'])}\n" for sample in dataset)


main()
