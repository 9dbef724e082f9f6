"""DALI's readers.webdataset on the CPU; it looks through the shards itself while the pipeline is built."""
import numpy
from nvidia.dali import fn, pipeline_def

FIELDS = ["bin", "cls"]


def built(paths, batch, index_paths=None):
    @pipeline_def(batch_size=batch, num_threads=1, device_id=None, prefetch_queue_depth=1)
    def reading():
        known = {"index_paths": index_paths} if index_paths else {}
        return tuple(fn.readers.webdataset(paths=paths, ext=FIELDS, name="tar", **known))

    pipe = reading()
    pipe.build()
    return pipe


def samples(paths, index_paths=None):
    pipe = built(paths, 1, index_paths)
    for _ in range(pipe.reader_meta("tar")["epoch_size"]):
        # an empty field is a member that is missing
        fields = {name: numpy.asarray(out.as_array()[0]).tobytes() for name, out in zip(FIELDS, pipe.run())}
        yield {name: data for name, data in fields.items() if data}


def one_pass(paths):
    """The pipeline is built once, outside of what is timed; the last batch of a pass is filled up
    from the next one. No byte is looked at."""
    pipe = built(paths, 64)
    size = pipe.reader_meta("tar")["epoch_size"]

    def run():
        count = 0
        while count < size:
            count += len(pipe.run()[0])
        return count

    return run
