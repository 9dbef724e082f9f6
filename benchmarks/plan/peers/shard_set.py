"""The shards of the tables: uneven ones, as they come out of a crawl. Field "cls" is the number of the sample in six digits, "bin" a payload that follows from it."""
import io
import tarfile

SIZES = [1024, 1000, 700, 1024, 13, 512, 1024, 998]
SAMPLES = sum(SIZES)


def payload(number):
    return (f"{number:06}-" * 200)[:1024].encode()


def labels_by_shard(sizes=SIZES):
    first = 0
    for size in sizes:
        yield range(first, first + size)
        first += size


def write_shards(folder, sizes=SIZES):
    paths = []
    for shard, labels in enumerate(labels_by_shard(sizes)):
        paths.append(folder / f"part-{shard:03}.tar")
        with tarfile.open(paths[-1], "w", format=tarfile.USTAR_FORMAT) as tar:
            for number in labels:
                for extension, data in (("bin", payload(number)), ("cls", f"{number:06}".encode())):
                    member = tarfile.TarInfo(f"{number:06}.{extension}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    return paths


def shards_of(folder):
    return [str(path) for path in sorted(folder.glob("part-*.tar"))]
