# tensor: LibTorch's tensors.
