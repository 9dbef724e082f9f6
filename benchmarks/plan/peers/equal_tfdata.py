"""tf.data: whole files to ranks, or every world-th record."""
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf  # noqa: E402

from shard_set import labels_by_shard  # noqa: E402


def prepare(folder):
    for shard, labels in enumerate(labels_by_shard()):
        with tf.io.TFRecordWriter(str(folder / f"part-{shard:03}.tfrecord")) as out:
            for number in labels:
                out.write(f"{number:06}".encode())


def files(folder, rank, world, batch):
    names = tf.data.Dataset.list_files(str(folder / "part-*.tfrecord"), shuffle=True, seed=7)
    return numbers(tf.data.TFRecordDataset(names.shard(world, rank)), batch)


def records(folder, rank, world, batch):
    names = tf.data.Dataset.list_files(str(folder / "part-*.tfrecord"), shuffle=True, seed=7)
    return numbers(tf.data.TFRecordDataset(names).shard(world, rank), batch)


def numbers(dataset, batch):
    return dataset.shuffle(1000, seed=7).batch(batch).as_numpy_iterator()


VARIANTS = {"tf.data, files.shard": files, "tf.data, records.shard": records}
