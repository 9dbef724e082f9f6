"""The same with index files that were made while the shards were whole (DALI's wds2idx format, v1.2); they lie beside the shards as <shard>.idx."""
import tarfile

import tar_dali
from grouping import grouped


def prepare(paths):
    for path in paths:
        with tarfile.open(path, "r:") as tar:
            rows = list(grouped((m.name, (m.name.partition(".")[2], m.offset_data, m.size)) for m in tar))
        with open(path + ".idx", "w") as index:
            index.write(f"v1.2 {len(rows)}\n")
            for row in rows:
                index.write(" ".join(f"{extension} {at} {size} {path.rpartition('/')[2]}" for extension, at, size in row.values()) + "\n")


def samples(paths):
    return tar_dali.samples(paths, [path + ".idx" for path in paths])
