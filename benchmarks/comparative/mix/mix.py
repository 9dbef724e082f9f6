"""Three in-memory sources of integers mixed .7/.2/.1 by one rival, in its own words. For every line on standard input: one pass, and its CPU
nanoseconds per sample on standard output. Started by benchmarks/chain/interleave.py with the Python that comparative/setup.sh names.

    mix.py torchdata|webdataset|grain|tfdata
"""
import itertools
import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # TensorFlow talks about the machine otherwise
WEIGHTS = (0.7, 0.2, 0.1)
SAMPLES = 100_000  # of a pass; every source holds that many, so that none ends


def torchdata():
    from torchdata.nodes import IterableWrapper, MultiNodeWeightedSampler

    names = "abc"
    def make():
        sources = {name: IterableWrapper(range(SAMPLES)) for name in names}
        return iter(MultiNodeWeightedSampler(sources, dict(zip(names, WEIGHTS)), seed=0, rank=0, world_size=1))
    return make, 1


def webdataset():
    from webdataset import RandomMix

    return lambda: iter(RandomMix([range(SAMPLES)] * 3, list(WEIGHTS))), 1


def grain():
    import grain

    def make():
        sources = [grain.MapDataset.range(SAMPLES) for _ in WEIGHTS]
        mixed = grain.MapDataset.mix(sources, weights=list(WEIGHTS))
        return iter(mixed.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)))  # its threads cost more than they bring here
    return make, 1


def tfdata():
    import tensorflow as tf

    batch = 1024  # one call from Python per batch: per element it would be Python's cost
    sources = [tf.data.Dataset.range(SAMPLES) for _ in WEIGHTS]
    mixed = tf.data.Dataset.sample_from_datasets(sources, list(WEIGHTS), seed=0).batch(batch, drop_remainder=True)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    options.autotune.enabled = False
    mixed = mixed.with_options(options)
    return lambda: iter(mixed), batch


def main():
    make, per_step = {"torchdata": torchdata, "webdataset": webdataset, "grain": grain, "tfdata": tfdata}[sys.argv[1]]()
    steps = SAMPLES // per_step
    for _ in sys.stdin:
        it = make()
        start = time.process_time()  # of all threads: compare CPU time, tf.data uses several
        count = sum(1 for _ in itertools.islice(it, steps))
        spent = time.process_time() - start
        if count != steps:
            sys.exit(f"{sys.argv[1]} yielded {count} of {steps}")
        print(1e9 * spent / (steps * per_step), flush=True)


main()
