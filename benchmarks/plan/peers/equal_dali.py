"""DALI's readers.webdataset with shard_id, and two of its policies for the last batch."""
from nvidia.dali import fn, pipeline_def
from nvidia.dali.plugin.base_iterator import LastBatchPolicy
from nvidia.dali.plugin.pytorch import DALIGenericIterator

from shard_set import shards_of


def reader(policy):
    def batches(folder, rank, world, batch):
        @pipeline_def(batch_size=batch, num_threads=1, device_id=None)
        def reading():
            return fn.readers.webdataset(paths=shards_of(folder), ext=["cls"], shard_id=rank, num_shards=world, random_shuffle=True, initial_fill=1000, name="tar")

        pipe = reading()
        pipe.build()
        for (out,) in ([o] for (o,) in DALIGenericIterator([pipe], ["cls"], reader_name="tar", last_batch_policy=policy)):
            yield [bytes(row.tolist()) for row in out["cls"]]

    return batches


VARIANTS = {"DALI, FILL": reader(LastBatchPolicy.FILL), "DALI, PARTIAL": reader(LastBatchPolicy.PARTIAL)}
