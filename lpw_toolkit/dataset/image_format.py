"""Kind, size and orientation of an encoded image, read from its bytes before anything is decoded.

    first bytes --read_image_header--> kind, width, height
    all bytes   --vet_image----------> within the bounds and whole, or an ImageFaultError

A header of 60,000 x 60,000 pixels costs nothing here. Pillow reads the header in 15-20 us an image;
this takes 2 us and knows two formats. Both are stricter than libjpeg and libpng, never laxer: what
a decoder would read is what was vetted.
"""

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lpw_toolkit.dataset.exif import EXIF_START, UPRIGHT, read_orientation, swaps_sides
from lpw_toolkit.errors import OverLimitError
from lpw_toolkit.files.limits import explain_limit, limit

JPEG, PNG = "JPEG", "PNG"
#: Which kind of file a suffix (lower case) promises.
KIND_OF_SUFFIX = {".jpg": JPEG, ".jpeg": JPEG, ".png": PNG}

_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length: TEM, RST0-7, SOI
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # DHT, JPG, DAC lie among them
_SEQUENTIAL = {0xC0, 0xC1}  # frames of which one scan of all components is decoded as it is read
_START_OF_SCAN, _END_OF_IMAGE, _START_OF_IMAGE = 0xDA, 0xD9, 0xD8
_APP1 = 0xE1  # where EXIF lies
_SEGMENTS = {*range(0xC0, 0xFF)} - _FRAMES - _STANDALONE - {_START_OF_SCAN, _END_OF_IMAGE}
_LEAST_SCAN_BYTES = 10  # the header of a scan of one component
#: Where libjpeg, within or behind the data of a scan, sees its next marker.
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_MAX_COMPONENTS = 4  # CMYK; libjpeg would take ten, and memory for each
_END_SEARCH_BYTES = 4_096  # cameras pad their files
_MAX_HEADER_STEPS = 65_536  # a header of 4-byte segments or of fill bytes takes 20 ms to give up
#: Chunks that no pixel depends on, and that unpack to a thousand times their length or hold more
#: pictures.
_NOT_DECODED = {b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"sPLT", b"acTL", b"fcTL", b"fdAT"}

Span = tuple[int, int]


@dataclass(slots=True)
class ImageHeader:
    """What an image says of itself.

    Attributes:
        kind: `JPEG` or `PNG`.
        width, height: pixels, as displayed.
        frame_at: where the frame header of a JPEG stands; 0 for a PNG.
        orientation: EXIF orientation 1-8: how the stored pixels are turned to be displayed.
    """

    kind: str
    width: int
    height: int
    frame_at: int = field(default=0, compare=False, repr=False)
    orientation: int = field(default=UPRIGHT, compare=False, repr=False)

    def has_size(self, width: int, height: int) -> bool:
        """Whether it is displayed in that size, or stored in it: older versions recorded the size
        that is stored."""
        if (self.width, self.height) == (width, height):
            return True
        return swaps_sides(self.orientation) and (self.height, self.width) == (width, height)


class ImageFaultError(ValueError):
    """An image that is not to be decoded, or cannot be.

    Args:
        got: what it is, in a few words.
        fault: `bound` beyond a bound of `files/limits.py`; `cut` its end is missing; `damaged`
            else.
    """

    def __init__(self, got: str, fault: Literal["bound", "cut", "damaged"] = "damaged") -> None:
        super().__init__(got)
        self.fault = fault


class ImageBoundError(OverLimitError, ImageFaultError):
    """An image beyond a bound of `files/limits.py`."""

    def __init__(self, got: str) -> None:
        super().__init__(got, "bound")


class ImageBounds(NamedTuple):
    """The bounds of one image, read once for many: `limit` looks into the environment."""

    n_bytes: int
    n_pixels: int
    n_scans: int
    n_parts: int

    @classmethod
    def read(cls) -> "ImageBounds":
        """As the user has set them or as the table has them. Errors: LpwError as `limit`."""
        return cls(*(limit(f"image_{name}") for name in ("bytes", "pixels", "scans", "parts")))


def read_image_header(data: bytes) -> ImageHeader | None:
    """Header of a JPEG or PNG file from its first bytes.

    None for anything else and where the header is cut off.

    Source: ITU-T T.81 (JPEG) section B.1.1 and B.2.2, W3C PNG section 11.2.2.
    """
    if data.startswith(b"\xff\xd8\xff"):
        at, exif_at = _find_frame(data)
        if not at:
            return None
        width, height = data[at + 7] << 8 | data[at + 8], data[at + 5] << 8 | data[at + 6]
        orientation = read_orientation(_segment(data, exif_at)) if exif_at else UPRIGHT
        return _lay(JPEG, (width, height), orientation, at)
    if data.startswith(_PNG_START) and len(data) >= 24:
        width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        return _lay(PNG, (width, height), _find_png_orientation(data))
    return None


def _lay(kind: str, stored: tuple[int, int], orientation: int, frame_at: int = 0) -> ImageHeader:
    width, height = stored[::-1] if swaps_sides(orientation) else stored
    return ImageHeader(kind, width, height, frame_at, orientation)


def _find_frame(data: bytes) -> tuple[int, int]:
    """Where the first start-of-frame marker of a JPEG stands, 9 bytes of it at least, and the
    first EXIF before it; 0 for none."""
    at, last, exif_at = 2, len(data) - 9, 0
    for _ in range(_MAX_HEADER_STEPS):
        if at > last or data[at] != 0xFF:
            return 0, 0
        marker = data[at + 1]
        if marker in _FRAMES:
            return at, exif_at
        if marker in _SEGMENTS:
            n_bytes = data[at + 2] << 8 | data[at + 3]
            if n_bytes < 2:
                return 0, 0
            if marker == _APP1 and not exif_at and data.startswith(EXIF_START, at + 4):
                exif_at = at
            at += 2 + n_bytes
        elif marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _STANDALONE:
            at += 2
        # a scan or the end before any frame, or a reserved marker: libjpeg stops there, or skips it
        # otherwise
        else:
            return 0, 0
    return 0, 0


def _segment(data: bytes, at: int) -> bytes:
    """The TIFF structure in the EXIF segment of a JPEG whose marker stands at `at`."""
    return data[at + 4 + len(EXIF_START) : at + 2 + (data[at + 2] << 8 | data[at + 3])]


def _find_png_orientation(data: bytes) -> int:
    """Of the first eXIf chunk of a PNG; upright where there is none. Source: PNG section 11.3.4."""
    if data.find(b"eXIf") < 0:
        return UPRIGHT
    at = 8
    for _ in range(_MAX_HEADER_STEPS):
        stop = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data.startswith(b"eXIf", at + 4):
            return read_orientation(data[at + 8 : stop - 4])
        if stop > len(data):
            break
        at = stop
    return UPRIGHT


def vet_image(data: bytes, header: ImageHeader, bounds: ImageBounds | None = None) -> list[Span]:
    """Whether an encoded image is whole and costs no more than the bounds allow.

    Args:
        data: the whole file.
        header: what `read_image_header` has found in it.
        bounds: the bounds, where many images are vetted.

    Returns: the byte ranges, ascending, that are not for a decoder (see `without_spans`).
    Errors: ImageFaultError.
    """
    bounds = bounds or ImageBounds.read()
    refuse_large(data, header, bounds)
    if header.kind == PNG:
        return _vet_png(data, bounds)
    _vet_jpeg(data, header, bounds)
    return []


def refuse_large(data: bytes, header: ImageHeader, bounds: ImageBounds) -> None:
    """Errors: ImageBoundError for an encoded image with more bytes or pixels than allowed."""
    if len(data) > bounds.n_bytes:
        raise ImageBoundError(explain_limit("image_bytes", f"{len(data)} bytes"))
    if header.width * header.height > bounds.n_pixels:
        got = f"{header.width} x {header.height} pixels"
        raise ImageBoundError(explain_limit("image_pixels", got))


def without_spans(data: bytes, spans: list[Span]) -> bytes:
    """`data` without those byte ranges, which ascend.

    >>> without_spans(b"0123456789", [(1, 3), (8, 9)])
    b'0345679'
    """
    starts, stops = [0, *(stop for _, stop in spans)], [*(start for start, _ in spans), len(data)]
    return b"".join(data[start:stop] for start, stop in zip(starts, stops, strict=True))


def _vet_jpeg(data: bytes, header: ImageHeader, bounds: ImageBounds) -> None:
    if (
        not data.endswith(b"\xff\xd9")
        and data.rfind(b"\xff\xd9", max(0, len(data) - _END_SEARCH_BYTES)) < 0
    ):
        raise ImageFaultError("a JPEG that is cut off", "cut")
    at = header.frame_at
    n_components = data[at + 9] if at + 9 < len(data) else 0
    if not 0 < n_components <= _MAX_COMPONENTS:
        raise ImageFaultError(f"a JPEG of {n_components} components")
    behind = at + 2 + max(data[at + 2] << 8 | data[at + 3], 2)
    if data[at + 1] in _SEQUENTIAL:
        # Ordinary crops end here: as many scans as their bytes could hold cost less than one large
        # image.
        if header.width * header.height * (len(data) // _LEAST_SCAN_BYTES) <= bounds.n_pixels:
            return
        if _is_interleaved(data, behind, n_components):
            return
    # The bytes FF DA start a scan or lie in the segment of another marker: never more scans than
    # that.
    if data.count(b"\xff\xda", behind) > bounds.n_scans:
        _count_scans(data, behind, bounds)


def _is_interleaved(data: bytes, at: int, n_components: int) -> bool:
    """Whether the first scan at or after `at`, behind segments only, has all components."""
    last = len(data) - 5
    for _ in range(_MAX_HEADER_STEPS):
        if at > last or data[at] != 0xFF:
            return False
        marker = data[at + 1]
        if marker == _START_OF_SCAN:
            return data[at + 4] == n_components
        if marker not in _SEGMENTS:
            return False  # rare: the caller counts
        at += 2 + max(data[at + 2] << 8 | data[at + 3], 2)
    return False


def _count_scans(data: bytes, at: int, bounds: ImageBounds) -> None:
    """Walks from marker to marker, as a decoder does. Errors: ImageFaultError for too many scans or
    segments."""
    n_scans = 0
    for _ in range(bounds.n_parts):
        found = _MARKER.search(data, at)
        if found is None:
            return
        marker = data[found.end() - 1]
        if marker in (_END_OF_IMAGE, _START_OF_IMAGE):  # a decoder stops here
            return
        n_scans += marker == _START_OF_SCAN
        if n_scans > bounds.n_scans:
            raise ImageBoundError(explain_limit("image_scans", f"over {bounds.n_scans} scans"))
        at = found.end() + max(int.from_bytes(data[found.end() : found.end() + 2], "big"), 2)
    raise ImageBoundError(explain_limit("image_parts", f"over {bounds.n_parts} segments"))


def _vet_png(data: bytes, bounds: ImageBounds) -> list[Span]:
    """Walks the chunks to IEND. Source: W3C PNG section 5.3."""
    spans: list[Span] = []
    at, size, has_pixels = 8, len(data), False
    for n_chunks in range(bounds.n_parts):
        kind = data[at + 4 : at + 8]
        stop = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if len(kind) < 4 or stop > size:
            raise ImageFaultError("a PNG that is cut off", "cut")
        if kind == b"IDAT":
            has_pixels = True
        elif kind == b"IEND":
            if not has_pixels:
                raise ImageFaultError("a PNG without pixels")
            return spans
        elif (kind == b"IHDR") != (n_chunks == 0) or not kind.isalpha():
            raise ImageFaultError("a PNG with damaged chunks")
        elif kind in _NOT_DECODED:
            if spans and spans[-1][1] == at:
                at = spans.pop()[0]  # neighbours become one range
            spans.append((at, stop))
        at = stop
    raise ImageBoundError(explain_limit("image_parts", f"over {bounds.n_parts} chunks"))
