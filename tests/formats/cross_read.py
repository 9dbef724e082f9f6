"""Shards of other tools through our reader, and ours through theirs: Python's tarfile in its three formats, GNU tar, WebDataset.

usage: cross_read.py TAR_TOOL tarfile|webdataset      77: what is needed is not installed
"""
import io
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zlib

TOOL, MODE = sys.argv[1:3]


def ours(pattern):
    """[(id, key, extension, size, crc)] as our reader sees them."""
    out = subprocess.run([TOOL, "read", str(pattern)], check=True, capture_output=True, text=True).stdout
    rows = []
    for line in out.splitlines():
        number, key, extension, size, crc = line.split(" ")
        rows.append((int(number), bytes.fromhex(key).decode(), extension, int(size), int(crc, 16)))
    return rows


def rows(samples):
    return [(i, key, extension, len(data), zlib.crc32(data)) for i, (key, fields) in enumerate(samples) for extension, data in fields]


def samples(n):
    """What we let others write: keys of every length, empty fields, non-ASCII names."""
    result = []
    for i in range(n):
        key = [f"{i:06d}", f"dir/{i:06d}", "p" * 120 + f"/{i:06d}", "L" * 150 + f"{i:06d}", f"\u00fc/{i:06d}"][i % 5]
        result.append((key, [("cls", str(i).encode()), ("jpg", bytes([i % 256]) * (i * 61 % 2000)), ("seg.png", b""), ("txt", "\u00e4\n".encode())]))
    return result


def written_by_us(n):
    """The samples of tar_tool write, fields in the order in which the writer puts them."""
    result = []
    for i in range(n):
        key = f"k{1000 + i}"
        key = {1: "d" * 90 + "/" + "e" * 60 + "/" + key, 2: "L" * 200 + key, 3: "\u00e4/" + key}.get(i % 5, key)
        result.append((key, [("bin", b""), ("cls", str(i).encode()), ("seg.png", bytes([i]) * 512), ("txt", bytes([ord("a") + i % 26]) * (i * 37 % 1500))]))
    return result


def equal(what, found, expected):
    if found != expected:
        for a, b in zip(found + [None] * len(expected), expected + [None] * len(found)):
            if a != b:
                sys.exit(f"FAILED: {what}: found {a}, expected {b}")
    print(f"{what}: {len(expected)} equal")


def by_tarfile(directory):
    given = samples(60)
    for name, form in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        fits = [s for s in given if form != tarfile.USTAR_FORMAT or not s[0].startswith("L")]  # what has no place for a slash does not fit there
        for mtime in (1, 1234567890.75):
            path = directory / f"{name}.tar"
            with tarfile.open(path, "w", format=form, encoding="utf-8") as t:
                for key, fields in fits:
                    for extension, data in fields:
                        info = tarfile.TarInfo(f"{key}.{extension}")
                        info.size, info.mtime = len(data), mtime if form == tarfile.PAX_FORMAT else int(mtime)
                        t.addfile(info, io.BytesIO(data))
            equal(f"W17, T3: tarfile writes {name}, we read", ours(path), rows(fits))

    tree = directory / "tree"
    for key, fields in given:
        (tree / key).parent.mkdir(parents=True, exist_ok=True)
        for extension, data in fields:
            (tree / f"{key}.{extension}").write_bytes(data)
    for form in ("gnu", "oldgnu", "posix", "pax", "ustar"):
        listed = directory / "names"
        fits = [s for s in given if form != "ustar" or not s[0].startswith("L")]
        listed.write_text("".join(f"{key}.{extension}\n" for key, fields in fits for extension, _ in fields))
        path = directory / f"gnu-{form}.tar"
        subprocess.run(["tar", f"--format={form}", "-C", tree, "-cf", path, "-T", listed], check=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"})
        equal(f"T3: GNU tar writes {form}, we read", ours(path), rows(fits))

    subprocess.run([TOOL, "write", str(directory / "ours-{}.tar")], check=True)
    found = []
    for path in sorted(directory.glob("ours-*.tar")):
        with tarfile.open(path, encoding="utf-8") as t:
            found += [(m.name, m.size, m.mode, m.mtime, zlib.crc32(t.extractfile(m).read())) for m in t]
    expected = [(f"{key}.{extension}", len(data), 0o444, 0, zlib.crc32(data)) for key, fields in written_by_us(60) for extension, data in fields]
    equal("W19: we write, tarfile reads", found, expected)
    out = directory / "out"
    out.mkdir()
    for path in sorted(directory.glob("ours-*.tar")):
        subprocess.run(["tar", "-C", out, "-xf", path], check=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"})
    equal("W19: we write, GNU tar unpacks", [(n, len(d), zlib.crc32(d)) for n, d in ((e[0], (out / e[0]).read_bytes()) for e in expected)], [(e[0], e[1], e[4]) for e in expected])


def by_webdataset(directory):
    try:
        import webdataset
    except ImportError as e:
        print(f"SKIPPED: {e}; tests/run.sh installs webdataset into .venv")
        sys.exit(77)
    given = [(key, sorted(fields)) for key, fields in samples(60)]
    with webdataset.ShardWriter(str(directory / "wds-%06d.tar"), maxcount=25, verbose=0) as writer:
        for key, fields in given:
            writer.write({"__key__": key, **{extension: data for extension, data in fields}})
    equal("W17, W18: WebDataset writes, we read", ours(directory / "wds-{000000..000002}.tar"), rows(given))

    subprocess.run([TOOL, "write", str(directory / "ours-{}.tar")], check=True)
    found = []
    for s in webdataset.WebDataset(str(directory / "ours-{000000..000002}.tar"), shardshuffle=False):
        found.append((s["__key__"], sorted((k, v) for k, v in s.items() if not k.startswith("_"))))
    equal("W1, W7: we write, WebDataset reads", rows(found), rows(written_by_us(60)))

    import os
    from webdataset.shardlists import expand_urls
    os.environ["WDS_PENSTOCK_TEST"] = "a{1..2}"
    for pattern in ("s-{000..003}.tar", "{08..11}", "{8..11}", "{7..010}", "{00..5}", "{3..1}", "{1..7..3}", "{1..3..0}", "{-01..1}", "{a..e..2}", "{Z..a}", "a{b,c{1..2}}d", "a{,b}", "x{a}", "x{}", "{1..a}",
                    r"\{a,b\}", "a{0..1}::b{2..3}", "${PENSTOCK_TEST}/x{0..1}"):
        names = subprocess.run([TOOL, "names", pattern], check=True, capture_output=True, text=True).stdout.split("\n")[:-1]
        equal(f"W21, W22: {pattern}", names, list(expand_urls(pattern)))
    for pattern in ("{a,b", "${PENSTOCK_NOT_SET}"):
        try:
            expand_urls(pattern)
            sys.exit(f"FAILED: WebDataset takes {pattern}")
        except Exception:
            pass
        if subprocess.run([TOOL, "names", pattern], capture_output=True).returncode == 0:
            sys.exit(f"FAILED: we take {pattern}")


with tempfile.TemporaryDirectory() as temporary:
    {"tarfile": by_tarfile, "webdataset": by_webdataset}[MODE](pathlib.Path(temporary))
