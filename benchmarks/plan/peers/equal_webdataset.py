"""WebDataset: whole shards to ranks and workers, or shards drawn again and again with an epoch of a fixed length."""
import math

import webdataset as wds

from shard_set import SAMPLES, shards_of


def label_batches(dataset, batch):
    return dataset.map(lambda sample: int(sample["cls"])).batched(batch, collation_fn=list)


def split(folder, rank, world, batch):
    return label_batches(wds.WebDataset(shards_of(folder), shardshuffle=100, nodesplitter=wds.split_by_node, workersplitter=wds.split_by_worker).shuffle(1000), batch)


def resampled(folder, rank, world, batch):
    return label_batches(wds.WebDataset(shards_of(folder), resampled=True, nodesplitter=None).shuffle(1000), batch).with_epoch(math.ceil(SAMPLES / (world * batch)))


VARIANTS = {"WebDataset, split_by_node + split_by_worker": split, "WebDataset, resampled + with_epoch": resampled}
