"""torch's DistributedSampler over random access, with and without drop_last (of the sampler and of the loader)."""
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from shard_set import SAMPLES


def loader(drop_last):
    def batches(folder, rank, world, batch):
        labels = range(SAMPLES)
        sampler = DistributedSampler(labels, world, rank, shuffle=True, seed=7, drop_last=drop_last)
        return DataLoader(labels, batch_size=batch, sampler=sampler, drop_last=drop_last)

    return batches


VARIANTS = {"torch DistributedSampler": loader(False), "torch DistributedSampler, drop_last": loader(True)}
