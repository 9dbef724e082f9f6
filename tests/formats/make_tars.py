"""Writes the same three samples as tar in several dialects, by Python's tarfile. Usage: make_tars.py DIRECTORY"""
import io
import sys
import tarfile

out = sys.argv[1]
LONG = "d/" * 60 + "a-rather-long-base-name-" + "x" * 120
SAMPLES = [("000", {"cls": b"7", "png": b"\x89PNG" + bytes(range(256)) * 5}),
           (LONG, {"cls": b"12", "png": b"p" * 512}),
           ("k/\u00e4\u00f6", {"png": b"", "txt": "\u00fc".encode()})]


def info(name, size):
    ti = tarfile.TarInfo(name)
    ti.size, ti.mtime = size, 1234567890.25
    return ti


def write(name, fmt, **kw):
    with tarfile.open(f"{out}/{name}.tar", "w", format=fmt, encoding="utf-8", **kw) as t:
        for key, fields in SAMPLES:
            for ext, data in fields.items():
                t.addfile(info(f"{key}.{ext}", len(data)), io.BytesIO(data))


write("pax", tarfile.PAX_FORMAT)
write("gnu", tarfile.GNU_FORMAT)
write("global", tarfile.PAX_FORMAT, pax_headers={"comment": "as git archive writes it"})
with tarfile.open(f"{out}/kinds.tar", "w", format=tarfile.USTAR_FORMAT) as t:
    for name, kind in (("dir", tarfile.DIRTYPE), ("link.cls", tarfile.SYMTYPE), ("hard.cls", tarfile.LNKTYPE), ("fifo", tarfile.FIFOTYPE)):
        ti = info(name, 0)
        ti.mtime, ti.type, ti.linkname = 0, kind, "" if kind in (tarfile.DIRTYPE, tarfile.FIFOTYPE) else "000.cls"
        t.addfile(ti)
    for name, data in (("a.cls", b"1"), ("._a.cls", b"m"), (".hidden", b"h"), ("__meta__", b"m"), ("readme", b"r"), ("a.TXT", b"t"), ("b.cls", b"2")):
        ti = info(name, len(data))
        ti.mtime = 0
        t.addfile(ti, io.BytesIO(data))
print(LONG)
