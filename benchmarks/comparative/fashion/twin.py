#!/usr/bin/env python3
"""The PyTorch twin of examples/train_classifier: same network, optimizer, schedule, augmentation and batches, written as one would in Python.

Two ranks of 64 samples are two micro-batches of 64 here, so batch normalisation sees what it sees there. The data is held in memory as
decoded pixels. Only the accuracy goes into the file: seconds belong to one machine and one moment.

    python3 twin.py --seeds 1 2 3 --out twin.csv      needs torch (the full package) and Debian's dataset-fashion-mnist
"""
import argparse
import csv
import gzip
import math
import struct
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

MEAN, STD = 0.2860, 0.3530
FOLDER = Path("/usr/share/datasets/fashion-mnist")


def idx(name):
    data = gzip.open(FOLDER / name).read()
    dims = struct.unpack_from(f">{data[3]}I", data, 4)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=4 + 4 * data[3]).view(dims)


def conv(i, o):
    return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]


def network():
    return nn.Sequential(
        *conv(1, 16), nn.MaxPool2d(2),
        *conv(16, 32), *conv(32, 32), nn.MaxPool2d(2),
        *conv(32, 64), *conv(64, 64), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 9, 10))


def augment(x):
    """Zero-pads by 2, crops 28 x 28 at a uniform offset, flips with probability 1/2; one draw per sample."""
    n = len(x)
    x = F.pad(x, (2, 2, 2, 2))
    rows = torch.randint(0, 5, (n, 1)) + torch.arange(28)
    cols = torch.randint(0, 5, (n, 1)) + torch.arange(28)
    cols = torch.where(torch.rand(n, 1) < 0.5, cols.flip(1), cols)
    return x[torch.arange(n)[:, None, None], rows[:, :, None], cols[:, None, :]]


def prepared(x):
    return ((x[:, None].float() / 255 - MEAN) / STD).contiguous(memory_format=torch.channels_last)


def run(seed, epochs, lr, bf16):
    torch.manual_seed(seed)
    net = network().to(memory_format=torch.channels_last)
    decay = [p for p in net.parameters() if p.dim() >= 2]
    plain = [p for p in net.parameters() if p.dim() < 2]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}], lr=lr, fused=True)
    x, y = idx("train-images-idx3-ubyte.gz"), idx("train-labels-idx1-ubyte.gz").long()
    tx, ty = idx("t10k-images-idx3-ubyte.gz"), idx("t10k-labels-idx1-ubyte.gz").long()
    steps, step, start = epochs * math.ceil(len(x) / 128), 0, time.time()
    for _ in range(epochs):
        net.train()
        for window in torch.randperm(len(x)).split(128):
            for part in window.split(64):
                with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                    out = net(prepared(augment(x[part])))
                (F.cross_entropy(out.float(), y[part], reduction="sum") / len(window)).backward()
            for g in opt.param_groups:
                g["lr"] = lr * min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / steps))
            opt.step()
            opt.zero_grad()
            step += 1
    net.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        right = sum((net(prepared(a)).argmax(1) == b).sum().item() for a, b in zip(tx.split(500), ty.split(500)))
    return right / len(tx), time.time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--out", default="twin.csv")
    a = parser.parse_args()
    bf16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    with open(a.out, "w", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(["seed", "epochs", "precision", "torch", "accuracy"])
        for seed in a.seeds:
            accuracy, seconds = run(seed, a.epochs, a.lr, bf16)
            rows.writerow([seed, a.epochs, "bf16" if bf16 else "fp32", torch.__version__, f"{accuracy:.4f}"])
            f.flush()
            print(f"seed {seed}: accuracy {accuracy:.4f} in {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
