"""MosaicML Streaming with its defaults, over its own format."""
from streaming import MDSWriter, StreamingDataset
from torch.utils.data import DataLoader

from shard_set import SAMPLES


def prepare(folder):
    with MDSWriter(out=str(folder / "mds"), columns={"cls": "int"}, size_limit=1 << 13) as out:
        for number in range(SAMPLES):
            out.write({"cls": number})


def defaults(folder, rank, world, batch):
    dataset = StreamingDataset(local=str(folder / "mds"), shuffle=True, batch_size=batch)
    return (b["cls"] for b in DataLoader(dataset, batch_size=batch))


VARIANTS = {"MosaicML Streaming": defaults}
