"""WebDataset with handler=warn_and_continue, as its documentation and open_clip use it."""
import webdataset as wds

import tar_webdataset


def samples(paths):
    return tar_webdataset.samples(paths, wds.warn_and_continue)
