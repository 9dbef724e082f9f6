"""WebDataset: its pipeline without shuffling and decoding, errors as its default handler treats them."""
import webdataset as wds

from grouping import in_batches, touched

HANDLER = wds.reraise_exception


def samples(paths, handler=None):
    for sample in wds.WebDataset(paths, shardshuffle=False, handler=handler or HANDLER):
        yield {k: v for k, v in sample.items() if not k.startswith("__")}


def one_pass(paths):
    return lambda: touched(in_batches(samples(paths), 64))
