# train: the loop.
