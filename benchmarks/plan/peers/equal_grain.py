"""Grain over random access: its DataLoader with both remainders, and a sliced MapDataset."""
import grain

from shard_set import SAMPLES


class Labels:
    def __len__(self):
        return SAMPLES

    def __getitem__(self, i):
        return i


def loader(drop_remainder):
    def batches(folder, rank, world, batch):
        shards = grain.sharding.ShardOptions(rank, world, drop_remainder=drop_remainder)
        sampler = grain.samplers.IndexSampler(SAMPLES, shard_options=shards, shuffle=True, num_epochs=1, seed=7)
        return grain.DataLoader(data_source=Labels(), sampler=sampler, worker_count=0, operations=[grain.transforms.Batch(batch, drop_remainder=drop_remainder)])

    return batches


def sliced(folder, rank, world, batch):
    return grain.MapDataset.source(Labels()).shuffle(seed=7)[rank::world].batch(batch)


VARIANTS = {"Grain DataLoader": loader(False), "Grain DataLoader, drop_remainder": loader(True), "Grain MapDataset[rank::world]": sliced}
