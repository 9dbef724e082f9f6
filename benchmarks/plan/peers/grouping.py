"""Members of a tar, one after another, as samples: files that follow each other and share a key."""


def grouped(members):
    """`members`: (name, bytes) in the order of the shard. Yields {extension: bytes}."""
    key, sample = None, {}
    for name, data in members:
        stem, _, extension = name.partition(".")
        if stem != key:
            if sample:
                yield sample
            key, sample = stem, {}
        sample[extension] = data
    if sample:
        yield sample


def in_batches(samples, n):
    batch = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == n:
            yield batch
            batch = []
    if batch:
        yield batch


def touched(batches):
    """The number of samples of batches of {extension: bytes}; the length of every field is asked for."""
    count = size = 0
    for batch in batches:
        count += len(batch)
        for sample in batch:
            for data in sample.values():
                size += len(data)
    assert size > 0
    return count
