"""Kind and size of an image of a sequence: JPEG and PNG as in a dataset, and what cameras and
labelling tools write beside them: BMP, TIFF and WebP.

As in `image_format`, nothing is decoded before a file is vetted, and a form that is rare among
frames (a TIFF with JPEG inside, an animation, run-length codes in a BMP) is refused.

Source: TIFF 6.0; Microsoft's BITMAPINFOHEADER; the WebP container and RFC 9649.
"""

import struct
from dataclasses import dataclass

from lpw_toolkit.dataset.exif import EXIF_START, UPRIGHT, read_orientation, swaps_sides
from lpw_toolkit.dataset.image_format import (
    ImageBounds,
    ImageFaultError,
    ImageHeader,
    Span,
    read_image_header,
    refuse_large,
    vet_image,
)

BMP, TIFF, WEBP = "BMP", "TIFF", "WebP"
#: Suffixes of the images that a sequence may hold.
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
KINDS = "JPEG, PNG, BMP, TIFF or WebP"

_BMP_BITS = {1, 4, 8, 16, 24, 32}
_BMP_PLAIN, _BMP_MASKS = 0, 3
_MAX_ENTRIES = 512
_TYPE_BYTES = {1: 1, 3: 2, 4: 4}  # BYTE, SHORT, LONG
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION, _SAMPLES = 256, 257, 258, 259, 274, 277
_STRIPS, _STRIP_BYTES, _TILE_SIDES, _TILES, _TILE_BYTES = 273, 279, (322, 323), 324, 325
_PACKED = {1, 5, 8, 32773, 32946}  # none, LZW, deflate, PackBits, deflate of old
_WEBP_ANIMATED = 0x02


def read_frame_header(data: bytes) -> ImageHeader | None:
    """Header of an image of a sequence from its bytes; None for another kind of file and where the
    header is cut off."""
    if data.startswith(b"BM"):
        return _read_bmp(data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _read_tiff(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _read_webp(data)
    return read_image_header(data)


def vet_frame(data: bytes, header: ImageHeader, bounds: ImageBounds | None = None) -> list[Span]:
    """As `image_format.vet_image`, of every kind. Errors: ImageFaultError."""
    if header.kind not in (BMP, TIFF, WEBP):
        return vet_image(data, header, bounds)
    bounds = bounds or ImageBounds.read()
    refuse_large(data, header, bounds)
    {BMP: _vet_bmp, TIFF: _vet_tiff, WEBP: _vet_webp}[header.kind](data, bounds)
    return []


def without_orientation(data: bytes, header: ImageHeader) -> bytes:
    """`data` with the orientation of a TIFF set to upright: its decoder turns by itself, others are
    told not to."""
    if header.kind != TIFF or not header.frame_at:
        return data
    upright = UPRIGHT.to_bytes(2, "little" if data[:1] == b"I" else "big")
    return data[: header.frame_at] + upright + data[header.frame_at + 2 :]


def _read_bmp(data: bytes) -> ImageHeader | None:
    if len(data) < 54:
        return None
    head_bytes = int.from_bytes(data[14:18], "little")
    if head_bytes == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)  # a negative height: top row first
    return ImageHeader(BMP, width, abs(height)) if width > 0 and height else None


def _vet_bmp(data: bytes, _: ImageBounds) -> None:
    head_bytes = int.from_bytes(data[14:18], "little")
    start = int.from_bytes(data[10:14], "little")
    if head_bytes == 12:
        width, height, _planes, bits = struct.unpack_from("<HHHH", data, 18)
        compression = _BMP_PLAIN
    elif head_bytes >= 40:
        width, height, _planes, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    else:
        raise ImageFaultError("a BMP with a damaged header")
    if bits not in _BMP_BITS or compression not in (_BMP_PLAIN, _BMP_MASKS):
        raise ImageFaultError(f"a BMP of {bits} bits and compression {compression}")
    if start + (width * bits + 31) // 32 * 4 * abs(height) > len(data):
        raise ImageFaultError("a BMP that is cut off", "cut")


@dataclass(frozen=True)
class _Directory:
    """The first directory of a TIFF.

    Attributes:
        data: the whole file.
        entries: by tag where its entry stands.
    """

    data: bytes
    entries: dict[int, int]

    @classmethod
    def read(cls, data: bytes) -> "_Directory":
        """Of a TIFF of any byte order; empty where it is cut off."""
        directory = cls(data, {})
        start = directory.number(4, 4)
        stop = start + 2 + 12 * min(directory.number(start, 2), _MAX_ENTRIES)
        if stop <= len(data):
            for at in range(start + 2, stop, 12):
                directory.entries.setdefault(directory.number(at, 2), at)
        return directory

    def number(self, at: int, n_bytes: int) -> int:
        order = "little" if self.data[:1] == b"I" else "big"
        return int.from_bytes(self.data[at : at + n_bytes], order)  # type: ignore[arg-type]

    def values(self, tag: int, default: int, most: int) -> list[int]:
        """The numbers of a tag. Errors: ImageFaultError for more than `most`, or another type."""
        at = self.entries.get(tag)
        if at is None:
            return [default]
        kind, count = self.number(at + 2, 2), self.number(at + 4, 4)
        n_bytes = _TYPE_BYTES.get(kind)
        if n_bytes is None or not 0 < count <= most:
            raise ImageFaultError(f"a TIFF with {count} values of type {kind} in tag {tag}")
        start = at + 8 if n_bytes * count <= 4 else self.number(at + 8, 4)
        if start + n_bytes * count > len(self.data):
            raise ImageFaultError("a TIFF that is cut off", "cut")
        return [self.number(start + n_bytes * i, n_bytes) for i in range(count)]


def _read_tiff(data: bytes) -> ImageHeader | None:
    directory = _Directory.read(data)
    try:
        width, height = (directory.values(tag, 0, 1)[0] for tag in (_WIDTH, _HEIGHT))
    except ImageFaultError:
        return None
    if not width or not height:
        return None
    orientation = read_orientation(data)
    if swaps_sides(orientation):
        width, height = height, width
    at = directory.entries.get(_ORIENTATION)
    return ImageHeader(TIFF, width, height, 0 if at is None else at + 8, orientation)


def _vet_tiff(data: bytes, bounds: ImageBounds) -> None:
    directory = _Directory.read(data)
    compression = directory.values(_COMPRESSION, 1, 1)[0]
    samples, bits = directory.values(_SAMPLES, 1, 1)[0], directory.values(_BITS, 1, 4)
    if compression not in _PACKED:
        raise ImageFaultError(f"a TIFF of compression {compression}")
    if not 0 < samples <= 4 or max(bits) > 16:
        raise ImageFaultError(f"a TIFF of {samples} samples of {max(bits)} bits")
    sides = [directory.values(tag, 0, 1)[0] for tag in _TILE_SIDES]
    if sides[0] * sides[1] > bounds.n_pixels or max(sides) > bounds.n_pixels // 16:
        raise ImageFaultError(f"a TIFF of tiles of {sides[0]} x {sides[1]}")
    where, lengths = (_TILES, _TILE_BYTES) if any(sides) else (_STRIPS, _STRIP_BYTES)
    starts = directory.values(where, 0, bounds.n_parts)
    counts = directory.values(lengths, 0, bounds.n_parts)
    if len(starts) != len(counts) or not all(starts):
        raise ImageFaultError("a TIFF with damaged parts")
    if any(start + n > len(data) for start, n in zip(starts, counts, strict=True)):
        raise ImageFaultError("a TIFF that is cut off", "cut")


def _read_webp(data: bytes) -> ImageHeader | None:
    kind = data[12:16]
    size = _read_webp_size(data, 12)
    if kind != b"VP8X":
        return None if size is None else ImageHeader(WEBP, *size)
    if len(data) < 30:
        return None
    width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    orientation = _find_webp_orientation(data)
    if swaps_sides(orientation):
        width, height = height, width
    return ImageHeader(WEBP, width, height, 0, orientation)


def _read_webp_size(data: bytes, at: int) -> tuple[int, int] | None:
    """(width, height) of the picture in the chunk at `at`; None where it holds none."""
    if data[at : at + 4] == b"VP8 " and data[at + 11 : at + 14] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data.ljust(at + 18, b"\0"), at + 14)
        return width & 0x3FFF, height & 0x3FFF
    if data[at : at + 4] == b"VP8L" and data[at + 8 : at + 9] == b"\x2f":
        bits = int.from_bytes(data[at + 9 : at + 13], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def _webp_chunks(data: bytes, most: int) -> list[int]:
    """Where the chunks start, at most `most` of them."""
    found: list[int] = []
    at = 12
    while at + 8 <= len(data) and len(found) < most:
        found.append(at)
        n_bytes = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + n_bytes + n_bytes % 2
    return found


def _find_webp_orientation(data: bytes) -> int:
    for at in _webp_chunks(data, _MAX_ENTRIES):
        if data[at : at + 4] == b"EXIF":
            n_bytes = int.from_bytes(data[at + 4 : at + 8], "little")
            return read_orientation(data[at + 8 : at + 8 + n_bytes].removeprefix(EXIF_START))
    return UPRIGHT


def _vet_webp(data: bytes, bounds: ImageBounds) -> None:
    if 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise ImageFaultError("a WebP that is cut off", "cut")
    if data[12:16] != b"VP8X":
        return
    if data[20] & _WEBP_ANIMATED:
        raise ImageFaultError("an animated WebP")
    canvas = tuple(1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    chunks = _webp_chunks(data, bounds.n_parts)
    sizes = [size for at in chunks if (size := _read_webp_size(data, at))]
    if sizes != [canvas]:
        raise ImageFaultError("a WebP without one picture of its own size")
