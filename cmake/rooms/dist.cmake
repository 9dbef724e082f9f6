# dist: LibTorch's c10d.
