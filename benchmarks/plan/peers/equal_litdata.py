"""litData over its own format, as it is and with drop_last=False."""
import litdata
import torch.distributed

from shard_set import labels_by_shard


def of_shard(labels):
    for number in labels:
        yield {"cls": number}


def prepare(folder):
    litdata.optimize(of_shard, list(labels_by_shard()), str(folder / "lit"), chunk_size=512, num_workers=1)


def loader(**options):
    def batches(folder, rank, world, batch):
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo")  # it takes rank and world from there
        dataset = litdata.StreamingDataset(str(folder / "lit"), shuffle=True, seed=7, **options)
        return (b["cls"] for b in litdata.StreamingDataLoader(dataset, batch_size=batch))

    return batches


VARIANTS = {"litData": loader(), "litData, drop_last=False": loader(drop_last=False)}
