"""One peer of benchmarks/plan/raw_tar.py: reads the shards once for every line on standard input, and prints samples, wall seconds and CPU seconds.

    raw_tar.py tar_webdataset|tar_spdl|tar_dali|tar_mlx|tar_tarfile SHARD...
"""
import importlib
import sys
import time


def main():
    one_pass = importlib.import_module(sys.argv[1]).one_pass(sys.argv[2:])
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        samples = one_pass()
        print(samples, time.perf_counter() - wall, time.process_time() - cpu, flush=True)


main()
