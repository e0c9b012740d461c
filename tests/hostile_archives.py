"""Archives that mean harm: written byte by byte, since no packer makes them."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

LOCAL, ENTRY = struct.Struct("<4s2B4HL2L2H"), struct.Struct("<4s4B4HL2L5H2L")
END, END_64, PLACE_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
GOOD = [("d/1.jpg", b"one"), ("d/2.jpg", b"two")]


def make_zip(entries: Iterable[tuple[Any, ...]], *, prefix: bytes = b"", end: dict[str, int] | None = None) -> bytes:
    """A zip of `(name, data)` or `(name, data, changes)`: changes overrule the fields of the list of contents.

    `local` is the name in the member's own header, `at` where that is said to lie, `deflate` packs the data.
    """
    body, contents = bytearray(prefix), bytearray()
    n = 0
    for name, data, *rest in entries:
        told: dict[str, Any] = rest[0] if rest else {}
        stored = name if isinstance(name, bytes) else name.encode()
        packed = _deflate(data) if told.get("deflate") else data
        flags = told.get("flags", 0 if isinstance(name, bytes) or name.isascii() else 0x0800)
        method = told.get("method", 8 if told.get("deflate") else 0)
        crc, local = told.get("crc", zlib.crc32(data)), told.get("local", stored)
        at = told.get("at", len(body))
        body += LOCAL.pack(b"PK\3\4", 20, 0, flags, method, 0, 0, crc, len(packed), len(data), len(local), 0) + local
        body += packed
        sizes = (told.get("n_packed", len(packed)), told.get("n_unpacked", len(data)), len(stored))
        extra, mode = told.get("extra", b""), told.get("mode", 0o100644)
        fields = (flags, method, 0, 0, crc, *sizes, len(extra), 0, told.get("disk", 0), 0, mode << 16, at)
        contents += ENTRY.pack(b"PK\1\2", 20, 3, 20, 0, *fields) + stored + extra
        n += 1
    said = {"disk": 0, "first": 0, "here": n, "all": n, "size": len(contents), "at": len(body), **(end or {})}
    return bytes(body + contents) + END.pack(b"PK\5\6", *said.values(), 0)


def make_zip_64(n_claimed: int, at: int) -> bytes:
    """A zip whose second end claims `n_claimed` members at `at`."""
    head = make_zip(GOOD)[: -END.size]
    record = END_64.pack(b"PK\6\6", 44, 45, 45, 0, 0, n_claimed, n_claimed, 100, at)
    place = PLACE_64.pack(b"PK\6\7", 0, len(head), 1)
    return head + record + place + END.pack(b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)


def _deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return engine.compress(data) + engine.flush()


def header(name: bytes, size: int | bytes = 0, kind: bytes = b"0", link: bytes = b"", mode: int = 0o644) -> bytes:
    """One tar header with a right checksum."""
    field = size if isinstance(size, bytes) else b"%011o\0" % size
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108], block[124:136], block[156:157] = b"%07o\0" % mode, field, kind
    block[157 : 157 + len(link)] = link
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: str | bytes, data: bytes = b"", kind: bytes = b"0", **more: Any) -> bytes:
    """A header with its data, padded."""
    stored = name if isinstance(name, bytes) else name.encode()
    return header(stored, len(data), kind, **more) + data + bytes(-len(data) % 512)


def make_tar(*members: bytes, end: bytes = bytes(1024)) -> bytes:
    """A tar of these members behind two good ones."""
    return b"".join(member(name, data) for name, data in GOOD) + b"".join(members) + end


def pax(records: dict[str, str], kind: bytes = b"x") -> bytes:
    """A member that holds pax records."""
    lines = b""
    for key, value in records.items():
        text = f" {key}={value}\n".encode()
        length = len(text) + len(str(len(text)))
        length += len(str(length + len(str(length)))) - len(str(len(text)))
        lines += f"{length}".encode() + text
    return member("pax", lines, kind)


def xz_that_asks_for(dict_code: int) -> bytes:
    """A small xz whose header asks for the dictionary of that code (40: 4 GiB)."""
    data = bytearray(lzma.compress(make_tar(), format=lzma.FORMAT_XZ, preset=0))
    size = (data[12] + 1) * 4
    place = data.index(b"\x21\x01", 12, 12 + size) + 2
    data[place] = dict_code
    data[12 + size - 4 : 12 + size] = struct.pack("<L", zlib.crc32(bytes(data[12 : 12 + size - 4])))
    return bytes(data)


def bomb(pack: Callable[[bytes], bytes], n_mib: int) -> bytes:
    """A packed tar with one member of so many MiB of zeros."""
    return pack(make_tar(header(b"z.mat", n_mib << 20) + bytes(n_mib << 20)))


def _packed_by_tarfile(link_chain: list[tuple[str, bytes, str]]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, kind, target in link_chain:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    return sink.getvalue()


def zip_cases() -> dict[str, bytes]:
    """Name of the harm, and the archive."""

    def one(name: Any, data: bytes = b"x", **told: Any) -> bytes:
        return make_zip([*GOOD, (name, data, told)])

    good = make_zip(GOOD)
    zeros = bytes(900_000)
    return {
        "absolute": one("/etc/passwd"),
        "climbs": one("../../evil.jpg"),
        "climbs-inside": one("d/../../evil.jpg"),
        "backslash": one("..\\..\\evil.jpg"),
        "drive": one("C:/evil.jpg"),
        "drive-relative": one("C:evil.jpg"),
        "unc": one("//host/share/evil.jpg"),
        "stream": one("a.jpg:hidden"),
        "nul": one(b"a.jpg\0.exe"),
        "newline": one("a\nb.jpg"),
        "escape": one("a\x1b[2Jb.jpg"),
        "right-to-left": one("a\u202egpj.exe"),
        "empty-name": one(""),
        "empty-part": one("a//b.jpg"),
        "dot-part": one("a/./b.jpg"),
        "trailing-dot": one("a./b.jpg"),
        "trailing-space": one("a /b.jpg"),
        "long-name": one("a" * 1025),
        "deep": one("a/" * 40 + "b.jpg"),
        "bad-utf8": one(b"a\xff.jpg", flags=0x0800),
        "absolute-folder": one("/tmp/", b""),
        "root-folder": one("/", b""),
        "climbing-folder": one("../", b""),
        "folder-with-bytes": one("d/e/"),
        "symlink": one("link", b"/etc/passwd", mode=0o120777),
        "device": one("dev", b"", mode=0o020666),
        "fifo": one("pipe", b"", mode=0o010666),
        "encrypted": one("a.jpg", flags=1),
        "strongly-encrypted": one("a.jpg", flags=0x41),
        "masked": one("a.jpg", flags=0x2000),
        "method-12": one("a.jpg", method=12),
        "method-99": one("a.jpg", method=99),
        "twice": one("d/1.jpg"),
        "case": one("d/1.JPG"),
        "case-of-folder": one("D/3.jpg"),
        "unicode": make_zip([("d/\u00e9.jpg", b"x"), ("d/e\u0301.jpg", b"y")]),
        "sharp-s": make_zip([("stra\u00dfe.jpg", b"x"), ("STRASSE.jpg", b"y")]),
        "file-and-folder": one("d"),
        "other-name-inside": one("a.jpg", local=b"b.jpg"),
        "overlap": make_zip([*GOOD, ("a.jpg", b"one", {"at": 0})]),
        "overlap-part": make_zip([*GOOD, ("a.jpg", b"x", {"at": 20})]),
        "beyond-the-end": one("a.jpg", at=1 << 31),
        "member-ratio": make_zip([("z.mat", bytes(2 << 20), {"deflate": True})]),
        "total-ratio": make_zip([(f"{i}.mat", zeros, {"deflate": True}) for i in range(30)]),
        "member-size": one("a.jpg", n_unpacked=1 << 31, n_packed=1 << 31),
        "size-too-small": one("a.jpg", bytes(500), deflate=True, n_unpacked=100),
        "size-too-large": one("a.jpg", bytes(500), deflate=True, n_unpacked=900),
        "two-sizes": one("a.jpg", n_unpacked=2),
        "wrong-crc": one("a.jpg", crc=1),
        "broken-deflate": one("a.jpg", b"\xff\xff\xff", method=8),
        "zip64-size-missing": one("a.jpg", n_unpacked=0xFFFFFFFF),
        "zip64-size-negative": one("a.jpg", n_unpacked=0xFFFFFFFF, extra=struct.pack("<2HQ", 1, 8, 1 << 63)),
        "second-disk": one("a.jpg", disk=1),
        "many-disks": make_zip(GOOD, end={"disk": 1}),
        "count-too-large": make_zip(GOOD, end={"here": 9, "all": 9}),
        "count-too-small": make_zip(GOOD, end={"here": 1, "all": 1}),
        "contents-elsewhere": make_zip(GOOD, end={"at": 5}),
        "prefix": b"MZ" + make_zip(GOOD, prefix=b""),
        "cut": good[:-30],
        "cut-middle": good[: len(good) // 2],
        "data-behind": good + b"x",
        "two-archives": good + good,
        "zip64-claims": make_zip_64(1 << 60, 0),
        "zip64-elsewhere": make_zip_64(2, 1 << 62),
        "empty-end-only": b"PK\5\6" + bytes(10),
    }


def tar_cases() -> dict[str, bytes]:
    """Name of the harm, and the archive."""
    link = b"2"
    whole = make_tar()
    return {
        "absolute": make_tar(member("/etc/passwd", b"x")),
        "climbs": make_tar(member("../evil.jpg", b"x")),
        "climbs-behind-dot": make_tar(member("./../evil.jpg", b"x")),
        "climbs-by-prefix": make_tar(pax({"path": "../" * 3 + "evil.jpg"}), member("a.jpg", b"x")),
        "climbs-by-long-name": make_tar(member("L", b"../evil.jpg\0", b"L"), member("a.jpg", b"x")),
        "backslash": make_tar(member("..\\evil.jpg", b"x")),
        "drive": make_tar(member("C:/evil.jpg", b"x")),
        "nul-by-pax": make_tar(pax({"path": "a\0b.jpg"}), member("a.jpg", b"x")),
        "newline": make_tar(member("a\nb.jpg", b"x")),
        "bad-utf8": make_tar(member(b"\xff\xfe.jpg", b"x")),
        "long-name": make_tar(member("L", b"a" * 2000 + b"\0", b"L"), member("a.jpg", b"x")),
        "symlink": make_tar(member("link", kind=link, link=b"/etc/passwd")),
        "symlink-inside": make_tar(member("link", kind=link, link=b"d/1.jpg")),
        "symlink-then-file": make_tar(member("d/out", kind=link, link=b"/tmp"), member("d/out/evil.jpg", b"x")),
        "hard-link": make_tar(member("link", kind=b"1", link=b"/etc/passwd")),
        "hard-link-to-symlink": _packed_by_tarfile([("a", b"2", "../.."), ("b", b"1", "a"), ("b/x", b"1", "a")]),
        "deep-link-chain": _packed_by_tarfile([(f"{'d' * 60}/{i}", b"2", "../" * 16) for i in range(20)]),
        "long-link": make_tar(member("K", b"../" * 90, b"K"), member("a", kind=link)),
        "character-device": make_tar(member("dev", kind=b"3")),
        "block-device": make_tar(member("dev", kind=b"4")),
        "fifo": make_tar(member("pipe", kind=b"6")),
        "sparse": make_tar(member("a.jpg", b"x", b"S")),
        "sparse-by-pax": make_tar(pax({"GNU.sparse.major": "1", "GNU.sparse.name": "../x"}), member("a.jpg", b"x")),
        "unknown-kind": make_tar(member("a.jpg", b"x", b"Z")),
        "volume": make_tar(member("label", b"", b"V")),
        "twice": make_tar(member("d/1.jpg", b"other")),
        "twice-behind-dot": make_tar(member("./d/1.jpg", b"other")),
        "case": make_tar(member("D/1.JPG", b"x")),
        "unicode": make_tar(member("\u00e9.jpg", b"x"), member("e\u0301.jpg", b"y")),
        "file-and-folder": make_tar(member("d", b"x")),
        "folder-with-bytes": make_tar(member("e/", b"x", b"5")),
        "negative-size": make_tar(header(b"a.jpg", b"\xff" * 12)),
        "huge-size": make_tar(header(b"a.jpg", b"\x80" + b"\x7f" * 11)),
        "size-no-number": make_tar(header(b"a.jpg", b"12x45678901 ")),
        "too-large": make_tar(header(b"a.jpg", 65 << 20)),
        "too-large-by-pax": make_tar(pax({"size": str(1 << 50)}), member("a.jpg", b"x")),
        "beyond-the-end": make_tar(header(b"a.jpg", 60 << 20), end=b""),
        "global-path": make_tar(pax({"path": "../x"}, b"g"), member("a.jpg", b"x")),
        "pax-too-large": make_tar(header(b"pax", 1 << 20, b"x") + bytes(1 << 20)),
        "pax-broken": make_tar(member("pax", b"99 path=x\n", b"x"), member("a.jpg", b"x")),
        "pax-without-end": make_tar(member("pax", b"9999999999999999999 path=x\n", b"x")),
        "long-name-too-large": make_tar(header(b"L", 1 << 20, b"L") + b"a" * (1 << 20)),
        "wrong-sum": make_tar(header(b"a.jpg")[:148] + b"000000\0 " + header(b"a.jpg")[156:]),
        "no-end": make_tar(end=b""),
        "cut": whole[:700],
        "cut-in-header": make_tar(header(b"a.jpg")[:100], end=b""),
        "data-behind": make_tar(end=bytes(1024) + b"x" * 512),
        "two-archives": whole + whole,
        "cut.gz": gzip.compress(whole)[:-20],
        "wrong-crc.gz": gzip.compress(whole)[:-8] + b"\1\2\3\4" + gzip.compress(whole)[-4:],
        "nested.gz": gzip.compress(gzip.compress(whole)),
        "not-a-tar.gz": gzip.compress(b"hello" * 1000),
        "bomb.gz": bomb(gzip.compress, 20),
        "bomb.bz2": bomb(bz2.compress, 20),
        "bomb.xz": bomb(lambda data: lzma.compress(data, preset=0), 20),
        "zeros-behind.gz": gzip.compress(make_tar(end=bytes(20 << 20))),
        "cut.bz2": bz2.compress(whole)[:-20],
        "cut.xz": lzma.compress(whole)[:-20],
        "memory.xz": xz_that_asks_for(40),
        "flipped.xz": lzma.compress(whole)[:60] + b"\xff" * 8 + lzma.compress(whole)[68:],
    }


def write_many_zip(path: Path, names: Iterable[str]) -> None:
    """A zip64 of one-byte members, thousands of times quicker than zipfile."""
    contents, parts, at, n = bytearray(), [], 0, 0
    crc = zlib.crc32(b"x")
    for name in names:
        stored = name.encode()
        parts.append(LOCAL.pack(b"PK\3\4", 20, 0, 0, 0, 0, 0, crc, 1, 1, len(stored), 0) + stored + b"x")
        contents += ENTRY.pack(b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 0, crc, 1, 1, len(stored), 0, 0, 0, 0, 0, at) + stored
        at += len(parts[-1])
        n += 1
    record = END_64.pack(b"PK\6\6", 44, 45, 45, 0, 0, n, n, len(contents), at)
    place = PLACE_64.pack(b"PK\6\7", 0, at + len(contents), 1)
    end = END.pack(b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(b"".join([*parts, contents, record, place, end]))


def write_ordinary(path: Path, files: dict[str, bytes]) -> None:
    """`files` as the kind of archive that the suffix names, by Python's own packers."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return
    kind = path.name.split(".tar")[1].lstrip(".")
    with tarfile.open(path, f"w:{kind}") as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o6755  # setuid and setgid mean nothing here
            tar.addfile(info, io.BytesIO(data))
